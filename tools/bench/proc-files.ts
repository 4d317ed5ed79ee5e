/** What the kernel tells about processes in `/proc`; only Linux has it. */
import { readFile, readdir } from 'node:fs/promises';

/** The kernel counts in these; `getconf CLK_TCK` is 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** A process and what it has cost so far. */
export interface ProcessTimes {
  readonly pid: number;
  readonly parent: number;
  /** When it began, in ticks since boot: a number of a process may be given again, with another beginning. */
  readonly beganTicks: number;
  /** CPU of all its threads, also of those that have ended. */
  readonly ownMs: number;
  /** CPU of children that have ended. */
  readonly endedChildrenMs: number;
}

/** All processes of the machine; none where there is no `/proc`. */
export async function processTimes(): Promise<ProcessTimes[]> {
  const names = await readdir('/proc').catch((): string[] => []);
  const pids = names.filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readProcFile(Number(pid), 'stat')));
  return lines.flatMap((line) => (line === null ? [] : [timesOf(line)]));
}

function timesOf(line: string): ProcessTimes {
  // `pid (name) state parent …`, and the name may hold anything. Numbers of fields are those of proc(5).
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
  const field = (number: number): number => Number(fields[number - 3]);
  const msOf = (ticks: number): number => (ticks * 1_000) / TICKS_PER_SECOND;
  return {
    pid: Number.parseInt(line, 10),
    parent: field(4),
    beganTicks: field(22),
    ownMs: msOf(field(14) + field(15)),
    endedChildrenMs: msOf(field(16) + field(17)),
  };
}

/** What the process calls itself; empty when it has ended. */
export async function titleOf(pid: number): Promise<string> {
  return ((await readProcFile(pid, 'cmdline')) ?? '').replaceAll('\0', ' ').trim();
}

/** Resident memory of a process in KiB (`VmRSS`), null where the kernel does not say. */
export async function residentKib(pid: number): Promise<number | null> {
  const status = (await readProcFile(pid, 'status')) ?? '';
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? Number.NaN) || null;
}

/** @returns null when the process has ended */
async function readProcFile(pid: number, name: string): Promise<string | null> {
  try {
    return await readFile(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return null;
  }
}
