import { spawn } from 'node:child_process';
import { Socket } from 'node:net';

/** Stops watching: the process was ended in order. */
export interface Watchdog {
  release(): void;
}

/**
 * Ends a process and removes its folder when this process dies in any way, SIGKILL included: a few kilobytes
 * of `sh` wait for the end of a pipe that only this process holds open. The other process cannot see its
 * parent die, and a detached one (so that Ctrl-C reaches us first and we stop things in order) would outlive
 * it.
 *
 * Without `sh` (Windows) nothing is watched.
 *
 * @param signal name without SIG; the process has 5 s after it
 * @param folder removed afterwards when given
 */
export function watchOver(pid: number, signal: 'INT' | 'TERM', folder?: string): Watchdog {
  const removal = folder === undefined ? '' : 'rm -rf "$1"';
  return atOurDeath(
    `kill -${signal} ${pid} 2>/dev/null
    for i in 1 2 3 4 5 6 7 8 9 10; do kill -0 ${pid} 2>/dev/null || break; sleep 0.5; done
    kill -KILL ${pid} 2>/dev/null
    ${removal}`,
    folder,
  );
}

/** Removes a temporary folder when this process dies in any way, as {@link watchOver} does. */
export function removeAtOurDeath(folder: string): Watchdog {
  return atOurDeath('sleep 6; rm -rf "$1"', folder);
}

/** @param folder `$1` of the script: as an argument it needs no quoting */
function atOurDeath(script: string, folder = ''): Watchdog {
  if (process.platform === 'win32') return { release: () => undefined };
  // `read` returns at once with "released" or, at the end of the pipe, with nothing.
  const waiting = `read -r word; [ "$word" = released ] && exit 0\n${script}`;
  const watchdog = spawn('/bin/sh', ['-c', waiting, 'sync-watchdog', folder], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  watchdog.on('error', () => undefined); // no /bin/sh: nothing is watched, as on Windows
  watchdog.stdin.on('error', () => undefined); // the watchdog was killed by somebody: not our business
  watchdog.unref();
  // A pipe to a child is a socket, which the type does not say.
  if (watchdog.stdin instanceof Socket) watchdog.stdin.unref();
  return { release: () => void watchdog.stdin.end('released\n') };
}
