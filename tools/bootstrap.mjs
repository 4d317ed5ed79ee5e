/**
 * Runs a program of this workspace on the workspace's own Node, installing the dependencies first when they
 * are missing or out of date: `node tools/bootstrap.mjs tools/stack/main.ts --json`. Everything said here
 * goes to stderr, so that the program's stdout stays its own.
 *
 * Dependency-free and written for Node 20, because it is what a fresh clone runs before anything is
 * installed.
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/** @param {string} message one line */
function say(message) {
  process.stderr.write(`${message}\n`);
}

/**
 * @returns {Record<string, { version?: string, link?: boolean, optional?: boolean, devOptional?: boolean,
 * peer?: boolean }>}
 */
function packagesOf(lockFile) {
  return JSON.parse(readFileSync(lockFile, 'utf8')).packages;
}

/**
 * True when node_modules holds what package-lock.json asks for. Versions are compared and not file times: a
 * checkout touches the lock file without changing it, and an interrupted install leaves a young, incomplete
 * folder.
 */
function isInstalled() {
  try {
    const wanted = packagesOf(join(root, 'package-lock.json'));
    const present = packagesOf(join(root, 'node_modules/.package-lock.json'));
    return Object.entries(wanted).every(([path, entry]) => {
      if (!path.startsWith('node_modules/')) return true;
      // A workspace that came with the last pull has no link yet.
      if (entry.link) return existsSync(join(root, path));
      const found = present[path];
      // Binaries for other platforms and unused optional peers are never installed.
      if (found === undefined) return Boolean(entry.optional ?? entry.devOptional ?? entry.peer);
      return found.version === entry.version;
    });
  } catch {
    return false;
  }
}

/** @returns {Promise<number>} exit code; 1 when the command does not exist */
function run(command, args, options) {
  return new Promise((done) => {
    const child = spawn(command, args, { cwd: root, ...options });
    child.once('error', (error) => {
      say(`Cannot run ${command}: ${error.message}`);
      done(1);
    });
    child.once('exit', (code, signal) => done(signal === null ? (code ?? 1) : 1));
    // npm hands these on to us; the program is what has to stop in order. On Ctrl-C it has them from the
    // terminal too.
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
    stopWithNpm(child);
  });
}

/**
 * npm passes SIGTERM to the shell between it and us, and the shell dies without passing it on. What is left
 * to see is that our parent has changed. Only under npm: whoever runs this file directly and goes away may
 * mean to leave it running.
 */
function stopWithNpm(child) {
  if (process.env.npm_lifecycle_event === undefined) return;
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    child.kill('SIGTERM');
  }, 250);
  watch.unref();
}

async function install() {
  say('Installing dependencies (npm ci); this takes a minute the first time …');
  const startedMs = Date.now();
  const seconds = () => ((Date.now() - startedMs) / 1000).toFixed(0);
  // A terminal shows npm's own progress; a log would stay silent for minutes on a slow network.
  const heartbeat = process.stderr.isTTY ? undefined : setInterval(() => say(`… ${seconds()} s`), 15_000);
  const code = await run('npm', ['ci', '--no-audit', '--no-fund'], {
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  clearInterval(heartbeat);
  if (code !== 0) {
    say('npm ci failed. Check the network and the message above, then run the same command again.');
    process.exit(1);
  }
  say(`Dependencies installed (${seconds()} s)`);
}

/**
 * The Node that package-lock.json pins; its install script may have been refused, then a young enough own one
 * will do.
 */
function workspaceNode() {
  const pinned = join(root, 'node_modules/node/bin', process.platform === 'win32' ? 'node.exe' : 'node');
  if (existsSync(pinned)) return pinned;
  if (Number.parseInt(process.versions.node, 10) >= 24) return process.execPath;
  say(
    'node_modules/node has no binary: its install script did not run. Run "npm rebuild node" or use Node 24.',
  );
  return process.exit(1);
}

const [program, ...args] = process.argv.slice(2);
if (program === undefined) {
  say('usage: node tools/bootstrap.mjs PROGRAM [ARGUMENTS]');
  process.exit(2);
}
if (!isInstalled()) await install();
const bin = join(root, 'node_modules/.bin');
const separator = process.platform === 'win32' ? ';' : ':';
process.exitCode = await run(
  workspaceNode(),
  ['--conditions=source', '--disable-warning=ExperimentalWarning', resolve(root, program), ...args],
  { stdio: 'inherit', env: { ...process.env, PATH: `${bin}${separator}${process.env.PATH ?? ''}` } },
);
process.exit();
