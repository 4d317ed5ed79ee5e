/** CPU by process: Node processes and NATS by their pid, Postgres by database. */
import { processTimes, titleOf } from './proc-files.ts';

/** Milliseconds of CPU by what used them, such as `gateway` or `Postgres of gateway`. */
export type CpuByProcess = Readonly<Record<string, number>>;

/** Whose CPU is read, and under which names. */
export interface CpuSources {
  /** Pids by name. */
  readonly processes: Readonly<Record<string, number>>;
  readonly postmaster: number;
  /** Names of databases, by what Postgres calls them. */
  readonly databases: Readonly<Record<string, string>>;
  /** Backends of this role are not read: the benchmark looks through them. */
  readonly observer: string;
}

/** One look at all counters; they only grow. */
export interface CpuReading {
  readonly counters: ReadonlyMap<string, { readonly name: string; readonly ms: number }>;
}

/** Checkpointer, WAL writer, autovacuum, I/O workers, and backends that end while they are measured. */
export const POSTGRES_ITSELF = 'Postgres itself';
const BACKEND = /^postgres: (?<role>\S+) (?<database>\S+) [\d.:a-f]+\(\d+\)/;

/**
 * Reads the CPU of all sources.
 *
 * A backend is a child of the postmaster and names its database in its title. When it ends, the kernel adds
 * what it used to what the postmaster's ended children used, so that nothing is lost: see {@link cpuBetween}.
 */
export async function readCpu(sources: CpuSources): Promise<CpuReading> {
  const all = await processTimes();
  const names = new Map(Object.entries(sources.processes).map(([name, pid]) => [pid, name]));
  const counters = new Map<string, { name: string; ms: number }>();
  for (const { pid, parent, beganTicks, ownMs, endedChildrenMs } of all) {
    if (pid === sources.postmaster) {
      counters.set('postmaster', { name: POSTGRES_ITSELF, ms: ownMs + endedChildrenMs });
      continue;
    }
    const name = parent === sources.postmaster ? await nameOfBackend(pid, sources) : names.get(pid);
    if (name !== undefined) counters.set(`${pid} ${beganTicks}`, { name, ms: ownMs });
  }
  return { counters };
}

async function nameOfBackend(pid: number, sources: CpuSources): Promise<string | undefined> {
  const { role, database = '' } = BACKEND.exec(await titleOf(pid))?.groups ?? {};
  if (role === sources.observer) return undefined;
  const name = sources.databases[database];
  return name === undefined ? POSTGRES_ITSELF : postgresOf(name);
}

/** The name of what Postgres does for one database. */
export function postgresOf(name: string): string {
  return `Postgres of ${name}`;
}

/** What was used between two readings of the same sources; the sum is exact to 10 ms a process. */
export function cpuBetween(before: CpuReading, after: CpuReading): CpuByProcess {
  const used: Record<string, number> = {};
  const add = (name: string, ms: number): void => void (used[name] = (used[name] ?? 0) + ms);
  for (const [key, { name, ms }] of after.counters) add(name, ms - (before.counters.get(key)?.ms ?? 0));
  // It has ended: the postmaster's counter grew by all that it ever used, of which this was used before.
  for (const [key, { name, ms }] of before.counters) {
    if (!after.counters.has(key) && name.startsWith('Postgres')) add(POSTGRES_ITSELF, -ms);
  }
  return used;
}

export function sumOf(cpu: CpuByProcess): number {
  return Object.values(cpu).reduce((sum, ms) => sum + ms, 0);
}
