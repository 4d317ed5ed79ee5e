/**
 * `npm run bench [-- --json FILE] [--quick] [--only NAME] [--profile] [--aged] [--peers]`: every operation
 * beside its floor of the same run; `yjs`, `client-storage`, `client-device` and `client-peers` need no
 * platform. `--aged` measures pushes alone, before and after the databases were filled: half an hour, and
 * 20 GB of disk. `--peers` makes other sync servers do pushes as well, and fetches them from npm.
 * `--only client-peers` makes RxDB and TanStack DB do the work of a device, and fetches TanStack's packages;
 * without that name it is left out.
 */
import { writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { checkGoals } from './goals.ts';
import { measureAged } from './measure-aged.ts';
import { measureCheck } from './measure-check.ts';
import { measureClientDevice } from './measure-client-device.ts';
import { measureClientPeers } from './measure-client-peers.ts';
import { measureClientStorage } from './measure-client-storage.ts';
import { measureConflicts } from './measure-conflicts.ts';
import { measureBackups } from './measure-backups.ts';
import { measureAutoResolution } from './measure-auto-resolution.ts';
import { measureDocuments } from './measure-documents.ts';
import { measurePeers } from './measure-peers.ts';
import { measureDecisions } from './measure-decisions.ts';
import { measureFirstSync, measureProjection } from './measure-flow.ts';
import { measureHostile } from './measure-hostile.ts';
import { measureIdle } from './measure-idle.ts';
import { measurePush } from './measure-push.ts';
import { measureQueue } from './measure-queue.ts';
import { measureAck, measureEmptyPull, measurePull } from './measure-requests.ts';
import { measureSockets } from './measure-sockets.ts';
import { measureSmallEvents, measureVisible } from './measure-visible.ts';
import { residentKib } from './proc-files.ts';
import type { OperationResult } from './result.ts';
import { profileLines } from './statement-profile.ts';
import { HEAD, cpuTable, rowOf } from './table.ts';
import { FULL_SIZES, QUICK_SIZES, type World, startWorld } from './world.ts';

const { values: options } = parseArgs({
  options: {
    json: { type: 'string' },
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true },
    profile: { type: 'boolean', default: false },
    aged: { type: 'boolean', default: false },
    peers: { type: 'boolean', default: false },
  },
});

/**
 * Name → measurement, in the order of the report: idle before anything is remembered of users and devices,
 * memory of sockets last, because it leaves the heap grown.
 */
function plan(world: World): [string, () => Promise<OperationResult>][] {
  return [
    ['idle', () => measureIdle(world)],
    ['push-1', () => measurePush(world, 1, 1)],
    ['push-1', () => measurePush(world, 1, 16)],
    ['push-1', () => measurePush(world, 1, 64)],
    ['push-100', () => measurePush(world, 100, 1)],
    ['push-100', () => measurePush(world, 100, 16)],
    ['push-check-20', () => measureCheck()],
    ['push-100-conflicts', () => measureConflicts(world)],
    ['pull-500', () => measurePull(world, 1)],
    ['pull-500', () => measurePull(world, 16)],
    ['ack', () => measureAck(world, 1)],
    ['ack', () => measureAck(world, 16)],
    ['pull-empty', () => measureEmptyPull(world, 1)],
    ['pull-empty', () => measureEmptyPull(world, 16)],
    ['decide-1000', () => measureDecisions(world)],
    ['auto-resolution', () => measureAutoResolution(world)],
    ['small-events', () => measureSmallEvents(world)],
    ['write-visible', () => measureVisible(world)],
    ['projection', () => measureProjection(world)],
    ['first-sync-50k', () => measureFirstSync(world)],
    ['client-queue-10k', () => measureQueue(world)],
    ['doc-backups', () => measureBackups(world)],
    ['hostile-tenant', () => measureHostile(world)],
    ...world.sizes.sockets.map((count): [string, () => Promise<OperationResult>] => [
      `idle-sockets-${count}`,
      () => measureSockets(world, count),
    ]),
  ];
}

async function memoryOf(world: World): Promise<{ name: string; rssMiB: number }[]> {
  const rows = await Promise.all(
    Object.entries(world.stack.pids).map(async ([name, pid]) => ({
      name,
      rssMiB: ((await residentKib(pid)) ?? 0) / 1024,
    })),
  );
  return rows.map(({ name, rssMiB }) => ({ name, rssMiB: Number(rssMiB.toFixed(1)) }));
}

const out = (line: string): void => void process.stdout.write(`${line}\n`);
const operations: OperationResult[] = [];
let processes: { name: string; rssMiB: number }[] = [];

function report(measured: OperationResult): void {
  operations.push(measured);
  out(rowOf(measured));
  if (measured.statements)
    for (const line of profileLines(measured.statements, measured.operations)) out(line);
}

/** Everything that needs the whole platform; it starts only when one of its operations is wanted. */
async function measureStack(): Promise<void> {
  const world = await startWorld(options.quick ? QUICK_SIZES : FULL_SIZES, options.profile, out);
  try {
    out(HEAD);
    if (options.aged)
      for (const measured of await measureAged(world, options.quick ? 0.1 : 1)) report(measured);
    for (const [name, measure] of options.aged ? [] : plan(world)) {
      if (options.only && !options.only.includes(name)) continue;
      report(await measure());
    }
    if (options.peers) for (const measured of await measurePeers(world)) report(measured);
    processes = await memoryOf(world);
  } finally {
    await world.stop();
  }
}

/** What is measured without the platform. */
const ALONE = ['yjs', 'client-storage', 'client-device', 'client-peers'];

if (options.only?.some((name) => !ALONE.includes(name)) ?? true) await measureStack();
else out(HEAD);
if (options.only?.includes('yjs') ?? !options.aged)
  for (const measured of await measureDocuments()) report(measured);
if (options.only?.includes('client-storage') ?? !options.aged)
  for (const measured of await measureClientStorage(options.quick)) report(measured);
if (options.only?.includes('client-device') ?? !options.aged)
  for (const measured of await measureClientDevice(options.quick)) report(measured);
if (options.only?.includes('client-peers'))
  for (const measured of await measureClientPeers(options.quick, out)) report(measured);
for (const line of cpuTable(operations)) out(line);
out('\nresident memory (MiB): ' + processes.map(({ name, rssMiB }) => `${name} ${rssMiB}`).join(', '));
out('\ngoals');
for (const { text, measured, met } of checkGoals(operations))
  out(`  ${met ? 'met   ' : 'MISSED'}  ${text}: ${measured}`);
if (options.json) {
  const machine = {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
  };
  await writeFile(options.json, `${JSON.stringify({ machine, operations, processes }, null, 2)}\n`);
}
