import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { exitOf } from '@sync/postgres/testing';

const run = promisify(execFile);

/**
 * A file system of a few megabytes that can be filled to its last byte: for what servers do when their disk
 * is full. A mount in a namespace of its own, which no right of root is needed for; only what is started
 * through {@link SmallDisk.through} sees it. Linux.
 */
export class SmallDisk {
  readonly folder: string;
  readonly #keeper: ChildProcess;

  private constructor(folder: string, keeper: ChildProcess) {
    this.folder = folder;
    this.#keeper = keeper;
  }

  /** @throws Error with what the system says when it has no user namespaces */
  static async create(megabytes: number): Promise<SmallDisk> {
    const folder = await mkdtemp(join(tmpdir(), 'sync-disk-'));
    // It ends with us: its input does.
    const script = `mount -t tmpfs -o size=${megabytes}m tmpfs "$1" && echo mounted && exec cat`;
    const flags = ['--user', '--map-root-user', '--mount', 'sh', '-c', script, 'sync-disk', folder];
    const keeper = spawn('unshare', flags, { stdio: ['pipe', 'pipe', 'pipe'] });
    let complaint = '';
    keeper.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
    const how = await Promise.race([once(keeper.stdout, 'data').then(() => undefined), exitOf(keeper)]);
    if (how !== undefined) throw new Error(`no small disk: unshare ended with ${how}: ${complaint}`);
    return new SmallDisk(folder, keeper);
  }

  /** Runs the command behind it where the disk is seen. */
  get through(): readonly [string, ...string[]] {
    const target = String(this.#keeper.pid);
    return ['nsenter', '--target', target, '--user', '--mount', '--preserve-credentials', '--'];
  }

  /** Takes all that is free. */
  async fill(): Promise<void> {
    await this.#shell('cat /dev/zero > "$1/ballast" 2>/dev/null || true');
  }

  /** Gives back what {@link fill} took. */
  async empty(): Promise<void> {
    await this.#shell('rm -f "$1/ballast"');
  }

  async remove(): Promise<void> {
    this.#keeper.stdin?.end();
    await exitOf(this.#keeper);
    await rm(this.folder, { recursive: true, force: true });
  }

  async #shell(script: string): Promise<void> {
    await run(this.through[0], [...this.through.slice(1), 'sh', '-c', script, 'sync-disk', this.folder]);
  }
}
