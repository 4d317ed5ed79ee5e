import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { platform } from '../kit/platform.ts';
import { attack, type AttackReport, HarmError } from './attack.ts';
import { buildCanaryWorld } from './canary-world.ts';

export interface PlatformReport extends AttackReport {
  /** Of the gateway's resident memory, from after the first part of the requests to the end. */
  readonly growthBytes: number;
}

const TENANTS = 6;
/** Of the requests: buffers, caches and compiled code grow while they are new. */
const WARM_UP = 0.3;

/**
 * Attacks the platform of `STACK_JSON` and looks at all that it shows afterwards: answers, logs, metrics.
 * @throws HarmError
 */
export async function attackPlatform(requests: number, seed: number): Promise<PlatformReport> {
  const { gateway, opsUrls, logDir } = platform();
  const world = await buildCanaryWorld(TENANTS);
  const first = Math.round(requests * WARM_UP);
  const warm = await attack(gateway, world, first, seed);
  const before = await residentBytes();
  const rest = await attack(gateway, world, requests - first, seed + 1);
  const growthBytes = (await residentBytes()) - before;
  for (const { device, canary } of world.victims) {
    await device.sync();
    const shown = JSON.stringify([...device.scopes].map(([, { entities }]) => [...entities]));
    if (!shown.includes(canary)) throw new HarmError(`a victim has lost what it wrote (${canary})`);
  }
  for (const name of await readdir(logDir))
    refuseCanaries(world.canaries, `the log ${name}`, await readFile(join(logDir, name), 'utf8'));
  for (const [name, url] of Object.entries(opsUrls))
    refuseCanaries(world.canaries, `the metrics of ${name}`, await (await fetch(`${url}/metrics`)).text());
  const statuses = new Map(warm.statuses);
  for (const [status, many] of rest.statuses) statuses.set(status, (statuses.get(status) ?? 0) + many);
  const codes = new Set([...warm.codes, ...rest.codes]);
  return { statuses, codes, closed: warm.closed + rest.closed, growthBytes };
}

function refuseCanaries(canaries: readonly string[], where: string, text: string): void {
  const line = text.split('\n').find((one) => canaries.some((canary) => one.includes(canary)));
  if (line !== undefined)
    throw new HarmError(`${where} shows what a user has written: ${line.slice(0, 1_000)}`);
}

async function residentBytes(): Promise<number> {
  const text = await (await fetch(`${platform().opsUrls['gateway'] ?? ''}/metrics`)).text();
  const found = /^process_resident_memory_bytes\S* (\S+)$/m.exec(text)?.[1];
  if (found === undefined) throw new Error('the gateway does not say how much memory it has');
  return Number(found);
}
