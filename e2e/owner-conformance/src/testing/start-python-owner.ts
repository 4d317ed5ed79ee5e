import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { OwnerFile } from '../kit/owner-file.ts';
import { resolvePython } from './resolve-python.ts';

const PROGRAM = join(import.meta.dirname, '../plain-owner/plain_owner.py');

/** What the checks have to know of the owning service in Python. */
export const PYTHON_OWNER: Omit<OwnerFile, 'nats'> = {
  service: 'tasks',
  entityTypes: {
    task: {
      data: { userId: '{userId}', title: 'Tack early', note: 'again' },
      changed: { title: 'Tack late' },
      invalid: { title: 42 },
      optional: 'note',
    },
  },
};

/** The service, started with a database of its own. */
export interface PythonOwner {
  /** Until the platform has accepted its registration. @throws Error when the service has ended */
  ready(): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts the owning service that is written in plain Python.
 * @param url of NATS
 * @param nkeySeed who it is there, instead of a user in `url`
 */
export async function startPythonOwner(url: string, nkeySeed?: string): Promise<PythonOwner> {
  const python = await resolvePython();
  const folder = await mkdtemp(join(tmpdir(), 'python-owner-'));
  const child = spawn(python, ['-B', PROGRAM, url, join(folder, 'a.sqlite')], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...(nkeySeed !== undefined && { NKEY_SEED: nkeySeed }) },
  });
  const ended = once(child, 'exit');
  const ready = readiness(child);
  return {
    ready: () => ready,
    async stop() {
      child.kill('SIGKILL');
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Its one line of output. */
async function readiness({ stdout }: ChildProcess): Promise<void> {
  let said = '';
  for await (const chunk of stdout ?? []) {
    said += String(chunk);
    if (said.includes('ready\n')) return;
  }
  throw new Error(`the service in Python has ended: ${said}`);
}
