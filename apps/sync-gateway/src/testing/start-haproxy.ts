import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { exitOf, freePort, isExecutable, unpackDebianPackages, withFileLock } from '@sync/postgres/testing';

const ROOT = resolve(import.meta.dirname, '../../../..');
/** Where an unpacked HAProxy is. */
const CACHE_FOLDER = join(ROOT, '.cache/haproxy');
const LOCK_TIMEOUT_MS = 5 * 60_000;
const execute = promisify(execFile);

/** Where a replica takes requests, and where it says whether it is ready. */
export interface Replica {
  readonly url: string;
  readonly opsUrl: string;
}

export interface RunningBalancer {
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * HAProxy with `infra/balancer/haproxy.cfg` before these replicas: `HAPROXY_BIN`, else the one on PATH, else
 * Debian's, which is unpacked on first use (5 MB).
 * @throws Error where it does not start
 */
export async function startHaproxy(replicas: readonly Replica[]): Promise<RunningBalancer> {
  const program = await resolveHaproxy();
  const folder = await mkdtemp(join(tmpdir(), 'haproxy-'));
  const port = await freePort();
  const file = join(folder, 'haproxy.cfg');
  const given = await readFile(join(ROOT, 'infra/balancer/haproxy.cfg'), 'utf8');
  await writeFile(file, configOf(given, port, replicas));
  const child = spawn(program, ['-db', '-f', file], { stdio: ['ignore', 'ignore', 'inherit'] });
  const url = `http://127.0.0.1:${port}`;
  while (!(await answers(url))) {
    if (child.exitCode !== null) throw new Error(`HAProxy has ended with ${child.exitCode}`);
    await sleep(20);
  }
  return { url, stop: () => stop(child, folder) };
}

/** The same but for its port, and for addresses in place of a name in Docker's DNS. */
function configOf(config: string, port: number, replicas: readonly Replica[]): string {
  const template = /^( *)server-template gateway \d+ \S+ check port \d+ resolvers docker$/m;
  const bind = 'bind :8080';
  if (!template.test(config) || !config.includes(bind)) throw new Error('haproxy.cfg is not as expected');
  return config
    .replace('init-addr none', '')
    .replace(bind, `bind 127.0.0.1:${port}`)
    .replace(template, (_line, indent: string) =>
      replicas
        .map(({ url, opsUrl }, at) => {
          const [address, opsPort] = [new URL(url).host, new URL(opsUrl).port];
          return `${indent}server gateway${at} ${address} check port ${opsPort}`;
        })
        .join('\n'),
    );
}

async function stop(child: ChildProcess, folder: string): Promise<void> {
  const ended = exitOf(child);
  child.kill('SIGTERM');
  await ended;
  await rm(folder, { recursive: true });
}

async function resolveHaproxy(): Promise<string> {
  for (const program of [process.env['HAPROXY_BIN'] ?? '', 'haproxy'])
    if (program !== '' && (await starts(program))) return program;
  const cached = join(CACHE_FOLDER, 'haproxy');
  return withFileLock(join(CACHE_FOLDER, 'download.lock'), LOCK_TIMEOUT_MS, async () => {
    if (isExecutable(cached)) return cached;
    const { root, libraries } = await unpackDebianPackages({ packages: ['haproxy'], folder: CACHE_FOLDER });
    const script = `#!/bin/sh
export LD_LIBRARY_PATH="${libraries.join(':')}\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
exec "${root}/usr/sbin/haproxy" "$@"
`;
    // Renamed when it is whole and starts: nobody ever starts half a program.
    await writeFile(`${cached}.new`, script, { mode: 0o755 });
    if (!(await starts(`${cached}.new`))) throw new Error('No HAProxy found: install it, or set HAPROXY_BIN');
    await rename(`${cached}.new`, cached);
    return cached;
  });
}

function answers(url: string): Promise<boolean> {
  return fetch(url).then(
    () => true,
    () => false,
  );
}

function starts(program: string): Promise<boolean> {
  return execute(program, ['-v'], { timeout: 30_000 }).then(
    () => true,
    () => false,
  );
}
