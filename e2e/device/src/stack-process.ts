import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { PlatformUrls } from './platform-client.ts';

/** The line that `npm run stack -- --json` prints when the platform is ready. */
export interface StackLine extends PlatformUrls {
  readonly ready: true;
  readonly analytics: string;
  readonly health: string;
  readonly projector: string;
  readonly resolver: string;
  readonly nats: string;
  readonly postgres: string;
  /** By database name. */
  readonly databases: Readonly<Record<string, { readonly ownerUrl: string; readonly appUrl: string }>>;
  readonly pids: Readonly<Record<string, number>>;
}

export interface StackProcess {
  readonly line: StackLine;
  /** SIGTERM, and waits until everything it started has gone. */
  stop(): Promise<void>;
}

const ROOT = resolve(import.meta.dirname, '../../..');

/** Starts the platform as anybody would: the command, its one line of JSON, SIGTERM at the end. */
export async function startStackProcess(): Promise<StackProcess> {
  const child = spawn(process.execPath, ['--conditions=source', 'tools/stack/main.ts', '--json'], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  const errors: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk.toString()));
  return { line: await readyLine(child, errors), stop: () => stop(child) };
}

async function readyLine(child: ChildProcess, errors: readonly string[]): Promise<StackLine> {
  if (!child.stdout) throw new Error('the stack has no output');
  const lines = createInterface({ input: child.stdout });
  const ended = once(child, 'exit').then(() => {
    throw new Error(`the stack did not start:\n${errors.join('')}`);
  });
  const ready = (async (): Promise<StackLine> => {
    for await (const line of lines) {
      if (line.startsWith('{"ready":true')) return JSON.parse(line) as StackLine;
    }
    // Its output ends a moment before it does; only then is it known what it complained of.
    return ended;
  })();
  return Promise.race([ready, ended]);
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  await gone;
}
