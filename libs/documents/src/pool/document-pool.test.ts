import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from '@jest/globals';
import * as Y from 'yjs';
import { admitUpdate } from '../admission/admit-update.ts';
import { WrittenContent } from '../admission/written-content.ts';
import { squash } from '../state/document-state.ts';
import { stateHash } from './state-hash.ts';
import { body, fork, replace, write } from '../testing/fork-document.ts';
import { endlessV2Update } from '../testing/hostile-updates.ts';
import type { HostileJobs } from '../testing/hostile-worker.ts';
import { DocumentPool, type PoolOptions } from './document-pool.ts';
import {
  JobCrashedError,
  JobFailedError,
  JobTimeoutError,
  PoolBusyError,
  PoolClosedError,
  WorkerStartError,
} from './pool-errors.ts';

const run = promisify(execFile);
const HOSTILE = new URL('../testing/hostile-worker.ts', import.meta.url);
const SLOW = new URL('../testing/slow-worker.ts', import.meta.url);
const MUTE = new URL('../testing/mute-worker.ts', import.meta.url);

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((pool) => pool.close()));
});

function hostilePool(options: PoolOptions = {}): DocumentPool<HostileJobs> {
  const pool = new DocumentPool<HostileJobs>({ program: HOSTILE, timeoutMs: 20_000, ...options });
  open.push(pool);
  return pool;
}

const { base, ours, theirs } = fork(write('take 5 mg\n'), replace('5', '10'), replace('5', '20'));

describe('DocumentPool', () => {
  it('does in a thread what the functions do', async () => {
    const pool = new DocumentPool();
    open.push(pool);
    const { state, hash } = await pool.run('squash', { base, updates: [ours] });
    expect([Buffer.from(state), hash]).toEqual([Buffer.from(squash(base, [ours])), stateHash(state)]);
    const overlaps = await pool.run('overlaps', { base: [base], ours: [ours], theirs: [theirs] });
    expect(overlaps).toMatchObject({ grade: 'severe', overlaps: [{ kind: 'same_number' }] });
    const diff = await pool.run('diff', { state, stateVector: new Map() });
    expect(squash(null, [diff])).toEqual(squash(null, [state]));
    const restored = await pool.run('restore', { stateThen: base, updatesSince: [ours], clientId: 2 ** 32 });
    const doc = new Y.Doc();
    for (const update of [base, ours, restored ?? base]) Y.applyUpdate(doc, update);
    expect(body(doc).toJSON()).toBe('take 5 mg\n');
  });

  it('ends the 27 bytes that keep a V2 merge busy for days, and goes on', async () => {
    const endless = endlessV2Update();
    expect(endless.length).toBe(27);
    const pool = hostilePool({ timeoutMs: 1_500 });
    const hanging = pool.run('mergeV2', [endless, endless]);
    const next = pool.run('squash', { base, updates: [] });
    await expect(hanging).rejects.toThrow(JobTimeoutError);
    expect((await next).hash).toBe(stateHash(base));
    // Admission never lets it come so far.
    const head = { stateVector: new Map(), clientOwners: new Map(), content: new WrittenContent([]) };
    const author = { kind: 'device', id: 'x', device: 'd' } as const;
    expect(admitUpdate(endless, head, author)).toMatchObject({ code: 'update_invalid' });
  });

  it('counts only the job: not what a thread takes to start', async () => {
    const pool = new DocumentPool({ program: SLOW, timeoutMs: 1_000 });
    open.push(pool);
    expect((await pool.run('squash', { base, updates: [] })).hash).toBe(stateHash(base));
  });

  it('waits for a thread that does not start no longer than it may', async () => {
    const pool = hostilePool({ program: MUTE, startTimeoutMs: 200 });
    const [running, next] = [pool.run('exit', null), pool.run('exit', null)];
    await expect(running).rejects.toThrow(WorkerStartError);
    await expect(next).rejects.toThrow(WorkerStartError);
  });

  it('ends a job that takes all memory, alone, and goes on', async () => {
    const pool = hostilePool({ heapMb: 32 });
    await expect(pool.run('fillHeap', null)).rejects.toThrow(JobCrashedError);
    expect((await pool.run('squash', { base, updates: [] })).hash).toBe(stateHash(base));
    await expect(pool.run('exit', null)).rejects.toThrow(JobCrashedError);
    expect((await pool.run('squash', { base, updates: [] })).hash).toBe(stateHash(base));
  });

  it('tells bad input from a bad worker', async () => {
    const pool = hostilePool();
    const failed = await pool.run('squash', { base: null, updates: [ours] }).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(JobFailedError);
    expect(failed).toMatchObject({ reason: 'IncompleteStateError' });
    const damaged = pool.run('squash', { base: Uint8Array.of(1, 2, 3), updates: [] });
    await expect(damaged).rejects.toThrow(JobFailedError);
  });

  it('bounds what waits, and lets nothing hang when it is closed', async () => {
    const pool = hostilePool({ queueLimit: 2 });
    const running = pool.run('loopForever', null);
    const waiting = [pool.run('loopForever', null), pool.run('loopForever', null)];
    expect(pool.queued).toBe(2);
    await expect(pool.run('loopForever', null)).rejects.toThrow(PoolBusyError);
    const settled = Promise.allSettled([running, ...waiting]);
    await pool.close();
    for (const result of await settled) {
      expect(result.status === 'rejected' && (result.reason as unknown)).toBeInstanceOf(PoolClosedError);
    }
    await expect(pool.run('exit', null)).rejects.toThrow(PoolClosedError);
  });

  it('sends what a view shows and not the buffer behind it', async () => {
    const pool = hostilePool();
    const chunk = new Uint8Array(1_000_000);
    chunk.set(base, 500_000);
    const view = chunk.subarray(500_000, 500_000 + base.length);
    expect((await pool.run('squash', { base: view, updates: [] })).hash).toBe(stateHash(base));
    expect(view.buffer.byteLength).toBe(1_000_000);
  });

  it('works compiled and from sources alike, and lets the process end', async () => {
    const root = resolve(import.meta.dirname, '../../../..');
    const folder = await mkdtemp(join(tmpdir(), 'documents-'));
    // A copy: others may be running the compiled library while it is compiled here.
    await cp(join(root, 'libs/documents/src'), join(folder, 'src'), { recursive: true });
    await cp(join(root, 'libs/documents/package.json'), join(folder, 'package.json'));
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
    await run('node', ['tools/build/build.mjs', relative(root, folder)], { cwd: root });
    for (const entry of ['src/node.ts', 'dist/node.js']) {
      const program = `
        import { DocumentPool } from ${JSON.stringify(join(folder, entry))};
        const { hash } = await new DocumentPool().run('squash', { base: Uint8Array.of(0, 0), updates: [] });
        console.log(hash);`;
      const { stdout } = await run('node', ['--input-type=module', '-e', program], { cwd: root });
      expect(stdout.trim()).toBe(stateHash(Uint8Array.of(0, 0)));
    }
    await rm(folder, { recursive: true });
  });
});
