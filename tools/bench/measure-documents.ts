/**
 * yjs-*: what `@sync/documents` does, beside bare Yjs on the same bytes; milliseconds of CPU, but for
 * compaction. Needs no running stack.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  admitUpdate,
  advanceStateVector,
  decodeStateVector,
  diffFor,
  findOverlaps,
  squash,
  stateVectorOf,
  type DocumentHead,
  WrittenContent,
} from '@sync/documents';
import { DocumentPool } from '@sync/documents/node';
import { SeededRandom } from '@sync/documents/testing';
import * as Y from 'yjs';
import type { Samples } from './percentiles.ts';
import { type OperationResult, result } from './result.ts';

const EDITS = 20_000;
const OFFLINE_UPDATES = 1_000;
const AUTHOR = { kind: 'device', id: 'u1', device: 'd1' } as const;
const OFFLINE_CLIENT = 3_333_333_333;
const OWNERS = new Map([[OFFLINE_CLIENT, { id: AUTHOR.id, device: AUTHOR.device, closed: false }]]);

/** A document that two people typed, mostly in bursts, with its single updates. */
interface TypedDocument {
  readonly state: Uint8Array;
  readonly updates: readonly Uint8Array[];
}

/**
 * Types into the document's text as a person does, mostly in bursts. @returns every edit as an update of its
 * own
 */
export function typeEdits(doc: Y.Doc, edits: number, random: SeededRandom): Uint8Array[] {
  const updates: Uint8Array[] = [];
  const keep = (update: Uint8Array, origin: unknown): void => {
    if (origin !== 'sync') updates.push(update);
  };
  doc.on('update', keep);
  const text = doc.getText('body');
  let at = random.below(text.length + 1);
  for (let made = 0; made < edits; made += 1) {
    if (random.next() < 0.05) at = random.below(text.length + 1);
    at = Math.min(at, text.length);
    if (random.next() < 0.15 && text.length > at) text.delete(at, 1);
    else {
      text.insert(at, random.next() < 0.02 ? '\n' : random.pick(['a', 'b', 'e', ' ', '5']));
      at += 1;
    }
  }
  doc.off('update', keep);
  return updates;
}

function typedDocument(random: SeededRandom): TypedDocument {
  const docs = [11, 2_222_222_222].map((clientId) => {
    const doc = new Y.Doc();
    doc.clientID = clientId;
    return doc;
  });
  const updates: Uint8Array[] = [];
  for (let burst = 0; burst < 100; burst += 1) {
    const written = typeEdits(random.pick(docs), EDITS / 100, random);
    updates.push(...written);
    const merged = Y.mergeUpdates(written);
    for (const doc of docs) Y.applyUpdate(doc, merged, 'sync');
  }
  return { state: squash(null, updates), updates };
}

/** What a device types on top of a state without anybody else. */
function branchOf(state: Uint8Array, clientId: number, edits: number, random: SeededRandom): Uint8Array[] {
  const doc = new Y.Doc();
  Y.applyUpdate(doc, state);
  doc.clientID = clientId;
  return typeEdits(doc, edits, random);
}

/**
 * CPU time of this thread: these functions wait for nothing, and a benchmark machine has other things to do.
 */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}

/**
 * The kernel accounts CPU time in ticks of some milliseconds; each sample is the mean of as many runs as make
 * up for it.
 */
const RUNS_PER_SAMPLE = 20;

function sample(samples: number, once: () => void): Samples {
  const latenciesMs: number[] = [];
  for (let warmUp = 0; warmUp < RUNS_PER_SAMPLE; warmUp += 1) once();
  const beganMs = cpuMs();
  for (let taken = 0; taken < samples; taken += 1) {
    const startedMs = cpuMs();
    for (let run = 0; run < RUNS_PER_SAMPLE; run += 1) once();
    latenciesMs.push((cpuMs() - startedMs) / RUNS_PER_SAMPLE);
  }
  return { latenciesMs, tookMs: (cpuMs() - beganMs) / RUNS_PER_SAMPLE };
}

/** Like {@link sample}, for what is done in several threads. */
async function sampleAllThreads(samples: number, once: () => Promise<unknown>): Promise<Samples> {
  const latenciesMs: number[] = [];
  for (let warmUp = 0; warmUp < RUNS_PER_SAMPLE; warmUp += 1) await once();
  const began = process.cpuUsage();
  for (let taken = 0; taken < samples; taken += 1) {
    const started = process.cpuUsage();
    for (let run = 0; run < RUNS_PER_SAMPLE; run += 1) await once();
    latenciesMs.push(processCpuMs(started) / RUNS_PER_SAMPLE);
  }
  return { latenciesMs, tookMs: processCpuMs(began) / RUNS_PER_SAMPLE };
}

function processCpuMs(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1_000;
}

function admitAll(updates: readonly Uint8Array[], head: DocumentHead): void {
  let { stateVector } = head;
  for (const update of updates) {
    const answer = admitUpdate(update, { ...head, stateVector }, AUTHOR);
    if (!answer.ok) throw new Error(answer.message);
    stateVector = advanceStateVector(stateVector, answer.added);
  }
}

function measureAdmission(state: Uint8Array, branch: readonly Uint8Array[]): OperationResult {
  const head = {
    stateVector: stateVectorOf(state),
    clientOwners: OWNERS,
    content: new WrittenContent([state]),
  };
  const own = sample(10, () => admitAll(branch, head));
  const floor = sample(10, () => branch.forEach((update) => Y.decodeUpdate(update)));
  const perSecond = (own.latenciesMs.length * branch.length * 1_000) / own.tookMs;
  return result('yjs-admit-1000', 1, own, floor, { admissionsPerSecond: perSecond });
}

/**
 * As a gateway does it: from the base64 of a stored delta to that of the answer, in a thread. CPU of all
 * threads.
 */
async function measureColdSync({ state, updates }: TypedDocument): Promise<OperationResult> {
  const held = Y.encodeStateVectorFromUpdate(squash(null, updates.slice(0, EDITS * 0.99)));
  const text = Buffer.from(state).toString('base64');
  const pool = new DocumentPool();
  const answer = async (): Promise<string> => {
    const input = { state: Buffer.from(text, 'base64'), stateVector: decodeStateVector(held) };
    return Buffer.from(await pool.run('diff', input)).toString('base64');
  };
  const own = await sampleAllThreads(10, answer);
  await pool.close();
  const floor = sample(10, () => void Y.diffUpdate(state, held));
  const bytes = diffFor(state, decodeStateVector(held)).length;
  return result('yjs-cold-sync', 1, own, floor, { diffBytes: bytes, stateBytes: state.length });
}

function measureMerge(
  state: Uint8Array,
  ours: readonly Uint8Array[],
  theirs: readonly Uint8Array[],
): OperationResult {
  const head = {
    stateVector: stateVectorOf(state),
    clientOwners: OWNERS,
    content: new WrittenContent([state]),
  };
  let found = 0;
  const own = sample(5, () => {
    admitAll(theirs, head);
    found = findOverlaps([state], ours, theirs).overlaps.length;
  });
  const floor = sample(5, () => void Y.mergeUpdates([state, ...theirs]));
  return result('yjs-merge-1000', 1, own, floor, { overlaps: found });
}

/**
 * Squashing in the pool, with the event loop of this process watched meanwhile; the floor does it here in
 * batches of 500.
 */
async function measureCompaction(updates: readonly Uint8Array[]): Promise<OperationResult> {
  const pool = new DocumentPool({ timeoutMs: 60_000 });
  await pool.run('squash', { base: null, updates: updates.slice(0, 10) });
  const loop = monitorEventLoopDelay({ resolution: 1 });
  loop.enable();
  const latenciesMs: number[] = [];
  const beganMs = performance.now();
  for (let run = 0; run < 10; run += 1) {
    const startedMs = performance.now();
    await pool.run('squash', { base: null, updates });
    latenciesMs.push(performance.now() - startedMs);
  }
  const tookMs = performance.now() - beganMs;
  loop.disable();
  await pool.close();
  const floor = sample(1, () => {
    const batches: Uint8Array[] = [];
    for (let at = 0; at < updates.length; at += 500)
      batches.push(Y.mergeUpdates(updates.slice(at, at + 500)));
    Y.mergeUpdates(batches);
  });
  return result('yjs-compact-20k', 1, { latenciesMs, tookMs }, floor, {
    loopP99Ms: loop.percentile(99) / 1e6,
  });
}

/** Heap that stays after documents were written to and left alone. */
function idleBytesPerDocument(branch: readonly Uint8Array[], state: Uint8Array): number {
  const known = stateVectorOf(state);
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const documents = 2_000;
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let document = 0; document < documents; document += 1) {
    const content = new WrittenContent([state]);
    admitAll(branch.slice(0, 5), { stateVector: new Map(known), clientOwners: OWNERS, content });
  }
  collect();
  return Math.max(0, process.memoryUsage().heapUsed - before) / documents;
}

/** All of them; the same bytes in every run. */
export async function measureDocuments(): Promise<OperationResult[]> {
  const random = new SeededRandom(20_261_122);
  const typed = typedDocument(random);
  const ours = branchOf(typed.state, 33, 200, random);
  const theirs = branchOf(typed.state, OFFLINE_CLIENT, OFFLINE_UPDATES, random);
  const admission = measureAdmission(typed.state, theirs);
  const idleBytes = idleBytesPerDocument(theirs, typed.state);
  return [
    { ...admission, extra: { ...admission.extra, idleBytesPerDocument: idleBytes } },
    await measureColdSync(typed),
    measureMerge(typed.state, ours, theirs),
    await measureCompaction(typed.updates),
  ];
}
