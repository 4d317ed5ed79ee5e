/** Other sync servers that install from npm, as processes of their own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { exitOf, freePort } from '@sync/postgres/testing';
import { fetchPackages } from '../fetch-packages.ts';

/** They are no dependencies of the project: who does not compare does not need them. */
const PACKAGES = resolve(import.meta.dirname, '../../../node_modules/.cache/bench-peers');

export interface Peer {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** @param note is told when packages are fetched. @throws what npm says */
export function installPeers(note: (text: string) => void): Promise<void> {
  return fetchPackages(join(import.meta.dirname, 'packages.json'), PACKAGES, note);
}

/** @throws Error when it ends before it listens */
export async function startPeer(script: 'pouchdb-server.mjs' | 'rxdb-server.mjs'): Promise<Peer> {
  const data = await mkdtemp(join(tmpdir(), 'bench-peer-'));
  const given = [resolve(import.meta.dirname, script), PACKAGES, data, String(await freePort())];
  const child = spawn(process.execPath, given, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = exitOf(child).then((how): never => {
    throw new Error(`${script} ended with ${how}`);
  });
  ended.catch(() => undefined);
  const line = once(createInterface({ input: child.stdout }), 'line');
  const [url] = (await Promise.race([line, ended])) as [string];
  return { url, pid: child.pid ?? 0, stop: () => stopPeer(child, data) };
}

async function stopPeer(child: ChildProcess, data: string): Promise<void> {
  const ended = exitOf(child);
  child.kill('SIGKILL');
  await ended;
  await rm(data, { recursive: true, force: true });
}
