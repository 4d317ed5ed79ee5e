/** `--profile`: which SQL statements an operation spends its time in. */
import { OBSERVER, type Observer } from './observer.ts';

/**
 * Settings of the benchmark's own Postgres. Not without `--profile`: counting each statement, also inside of
 * functions, takes CPU from what is measured.
 */
export const PROFILE_SETTINGS = {
  shared_preload_libraries: 'pg_stat_statements',
  'pg_stat_statements.track': 'all',
  'pg_stat_statements.track_planning': 'on',
} as const;

const MOST_PER_DATABASE = 25;
const SHOWN_CHARACTERS = 110;
/** What takes less of all time is left out. */
const LEAST_SHARE = 0.005;

/** What one statement cost. Its time passes while it waits for locks and disks, too. */
export interface StatementCost {
  readonly database: string;
  /** false: inside of a function, in whose time it is counted again. */
  readonly topLevel: boolean;
  readonly calls: number;
  readonly tookMs: number;
  /** How much of it Postgres planned, which a generic plan does once for each connection. */
  readonly plannedMs: number;
  readonly walBytes: number;
  readonly text: string;
}

export class StatementProfile {
  readonly #observer: Observer;

  private constructor(observer: Observer) {
    this.#observer = observer;
  }

  static async open(observer: Observer): Promise<StatementProfile> {
    await observer.queryServer('CREATE EXTENSION IF NOT EXISTS pg_stat_statements');
    return new StatementProfile(observer);
  }

  async reset(): Promise<void> {
    await this.#observer.queryServer('SELECT pg_stat_statements_reset()');
  }

  /** The most expensive of each database since the reset. */
  async read(): Promise<StatementCost[]> {
    return this.#observer.queryServer<StatementCost>(
      `SELECT database, "topLevel", calls, "tookMs", "plannedMs", "walBytes", text FROM (
         SELECT d.datname AS database, s.toplevel AS "topLevel", s.calls::float8 AS calls,
           s.total_exec_time + s.total_plan_time AS "tookMs", s.total_plan_time AS "plannedMs",
           s.wal_bytes::float8 AS "walBytes",
           trim(regexp_replace(s.query, '\\s+', ' ', 'g')) AS text,
           row_number() OVER (
             PARTITION BY s.dbid ORDER BY s.total_exec_time + s.total_plan_time DESC) AS place
         FROM pg_stat_statements s
         JOIN pg_database d ON d.oid = s.dbid
         JOIN pg_roles r ON r.oid = s.userid
         WHERE d.datname = ANY ($1) AND r.rolname <> $2) ranked
       WHERE place <= $3 ORDER BY database, place`,
      [this.#observer.databases, OBSERVER, MOST_PER_DATABASE],
    );
  }
}

/** Lines to print: per operation, database by database. */
export function profileLines(statements: readonly StatementCost[], operations: number): string[] {
  const allMs = statements.reduce((sum, { topLevel, tookMs }) => sum + (topLevel ? tookMs : 0), 0);
  const shown = statements.filter(({ tookMs }) => tookMs >= LEAST_SHARE * allMs);
  const databases = [...new Set(shown.map(({ database }) => database))];
  return databases.flatMap((name) => [
    `  ${name}: calls, ms, of these planning, and WAL bytes per operation (· inside of a function)`,
    ...shown.filter(({ database }) => database === name).map((one) => lineOf(one, operations)),
  ]);
}

function lineOf(
  { topLevel, calls, tookMs, plannedMs, walBytes, text }: StatementCost,
  operations: number,
): string {
  const numbers = [
    (calls / operations).toFixed(2).padStart(9),
    (tookMs / operations).toFixed(3).padStart(9),
    (plannedMs / operations).toFixed(3).padStart(9),
    (walBytes / operations).toFixed(0).padStart(9),
  ];
  return `  ${numbers.join('')}  ${topLevel ? ' ' : '·'} ${text.slice(0, SHOWN_CHARACTERS)}`;
}
