import { type CheckResult, type Target, runChecks } from '../run-checks.ts';
import type { BrokenServer } from './broken-server.ts';
import { checkOf } from './broken-servers.ts';
import { DistortingProxy, type Distortion } from './distorting-proxy.ts';

/** What became of a broken server. */
export interface Catch {
  readonly server: BrokenServer;
  /** `not tried`: the check needs something of the platform that nobody named. */
  readonly verdict: 'caught' | 'missed' | 'not tried';
  /** What the check said against it, why it has proven nothing, or what it needs. */
  readonly why: string;
}

/** Not a word about the server: the check did not get as far as to judge it. */
const NO_VERDICT = /fetch failed|ECONN|EPIPE|socket hang up|Exceeded timeout|it did not run/;

/**
 * Puts each broken server before the real one, and runs the one check that must catch it.
 * @param atOnce how many at the same time; each is a Jest of its own
 * @param told is called as soon as there is an answer about one
 * @throws Error when a check already fails through a proxy that changes nothing: then no failure proves
 *   anything
 */
export async function catchAll(
  target: Target,
  servers: readonly BrokenServer[],
  atOnce: number,
  told: (caught: Catch) => void = () => undefined,
): Promise<Catch[]> {
  const needs = await expectAllPass(target, servers);
  const waiting = servers.entries();
  const catches: Catch[] = [];
  const work = async (): Promise<void> => {
    for (const [place, server] of waiting) {
      const need = needs.get(server.check);
      const caught: Catch =
        need === undefined ? await catchOne(target, server) : { server, verdict: 'not tried', why: need };
      catches[place] = caught;
      told(caught);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return catches;
}

/** @returns what those checks need that cannot be made here */
async function expectAllPass(
  target: Target,
  servers: readonly BrokenServer[],
): Promise<ReadonlyMap<BrokenServer['check'], string>> {
  const names = new Map(servers.map((server) => [server.check, checkOf(server)]));
  const { results } = await through(target, (_asked, forward) => forward(), [...names.values()]);
  const failed = results.filter(({ status }) => status === 'failed');
  if (failed.length > 0) {
    const list = failed.map(({ path, ran, why }) => `${path} › ${ran}: ${why}`);
    throw new Error(`these checks fail without any fault, so they can catch none:\n${list.join('\n')}`);
  }
  const needs = new Map<string, string>();
  for (const [check, { path, title }] of names) {
    const own = results.filter((result) => result.path === path && result.title === title);
    const missing = own.find(({ status }) => status === 'not checked');
    if (missing) needs.set(check, `needs ${missing.why}`);
  }
  return needs;
}

async function catchOne(target: Target, server: BrokenServer): Promise<Catch> {
  const { results, distorted, errors } = await through(target, server.breaks(), [checkOf(server)]);
  const failed = results.filter(({ status }) => status === 'failed');
  const judged = failed.find(({ why }) => !NO_VERDICT.test(why));
  const missed = (why: string): Catch => ({ server, verdict: 'missed', why });
  if (errors.length > 0) return missed(`the proxy itself failed: ${String(errors[0])}`);
  if (distorted === 0) return missed('the fault was never shown to the check');
  if (judged) return { server, verdict: 'caught', why: judged.why };
  return missed(failed[0]?.why ?? 'the check passed');
}

interface Seen {
  readonly results: readonly CheckResult[];
  readonly distorted: number;
  readonly errors: readonly unknown[];
}

async function through(
  target: Target,
  distortion: Distortion,
  checks: readonly ReturnType<typeof checkOf>[],
): Promise<Seen> {
  const proxy = await DistortingProxy.start(target.gateway, distortion);
  try {
    const results = await runChecks({ ...target, gateway: proxy.url }, checks);
    return { results, distorted: proxy.distorted, errors: [...proxy.errors] };
  } finally {
    await proxy.stop();
  }
}
