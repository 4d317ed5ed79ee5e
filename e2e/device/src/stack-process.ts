import { type ChildProcess, spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { PlatformUrls } from './platform-client.ts';

/** The line that `npm run stack -- --json` prints when the platform is ready. */
export interface StackLine extends PlatformUrls {
  readonly ready: true;
  /** Copies have a number behind their name: `gateway-2`. */
  readonly [copy: `${string}-${number}`]: string | undefined;
  readonly analytics: string;
  readonly health: string;
  readonly projector: string;
  readonly resolver: string;
  readonly nats: string;
  readonly postgres: string;
  /** Where health and metrics of each process are, by its name. */
  readonly opsUrls: Readonly<Record<string, string>>;
  /** By database name. */
  readonly databases: Readonly<Record<string, { readonly ownerUrl: string; readonly appUrl: string }>>;
  readonly pids: Readonly<Record<string, number>>;
  readonly logDir: string;
  /** By service; empty where NATS is somebody else's. */
  readonly nkeySeeds: Readonly<Record<string, string>>;
}

export interface StackProcess {
  readonly line: StackLine;
  /**
   * Restarts one process in order: it drains, and is waited for until it is ready again.
   * @param root a checkout of another version, compiled: the process comes back as that one
   * @throws Error with what the stack says when it does not come back
   */
  restart(name: string, root?: string): Promise<void>;
  /** SIGTERM, and waits until everything it started has gone. */
  stop(): Promise<void>;
}

const ROOT = resolve(import.meta.dirname, '../../..');

/**
 * Starts the platform as anybody would: the command, its one line of JSON, SIGTERM at the end.
 * @param options of the command, besides `--json`
 * @param settings environment variables of all processes
 */
export async function startStackProcess(
  options: readonly string[] = [],
  settings: Readonly<Record<string, string>> = {},
): Promise<StackProcess> {
  const command = ['--conditions=source', 'tools/stack/main.ts', '--json', '--control', ...options];
  const child = spawn(process.execPath, command, {
    cwd: ROOT,
    stdio: 'pipe',
    env: { ...process.env, ...settings, NODE_OPTIONS: '' },
  });
  const errors: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk.toString()));
  const lines = new EventEmitter();
  createInterface({ input: child.stdout }).on('line', (line) => {
    const told = JSON.parse(line) as Partial<StackLine> & { restarted?: string; error?: string };
    lines.emit(told.ready ? 'ready' : `restarted ${told.restarted ?? ''}`, told);
  });
  // Its output ends a moment before it does; only then is it known what it complained of.
  const ended = once(child, 'close').then(() => {
    throw new Error(`the stack has ended:\n${errors.join('')}`);
  });
  ended.catch(() => undefined);
  const next = async (event: string): Promise<StackLine & { error?: string }> => {
    const [told] = (await Promise.race([once(lines, event), ended])) as [StackLine & { error?: string }];
    return told;
  };
  const line = await next('ready');
  return {
    line,
    async restart(name, root) {
      const answer = next(`restarted ${name}`);
      child.stdin.write(`restart ${name}${root === undefined ? '' : ` ${root}`}\n`);
      const { error } = await answer;
      if (error !== undefined) throw new Error(`${name} did not come back: ${error}`);
    },
    stop: () => stop(child),
  };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  await gone;
}
