/** Other sync servers that install from npm, as processes of their own. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { exitOf, freePort } from '@sync/postgres/testing';

/** They are no dependencies of the project: who does not compare does not need them. */
const PACKAGES = resolve(import.meta.dirname, '../../../node_modules/.cache/bench-peers');

export interface Peer {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** @param note is told when packages are fetched. @throws what npm says */
export async function installPeers(note: (text: string) => void): Promise<void> {
  const wanted = join(import.meta.dirname, 'packages.json');
  const present = await stat(join(PACKAGES, 'node_modules/rxdb-server')).catch(() => null);
  if (present !== null && present.mtimeMs > (await stat(wanted)).mtimeMs) return;
  note('fetching the packages of the peers once');
  await mkdir(PACKAGES, { recursive: true });
  await copyFile(wanted, join(PACKAGES, 'package.json'));
  // Their native parts come built: no script has to run.
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock'];
  await promisify(execFile)('npm', ['install', ...flags], { cwd: PACKAGES });
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
