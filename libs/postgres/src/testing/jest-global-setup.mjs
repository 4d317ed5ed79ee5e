/**
 * Jest's globalSetup of projects with `*.pg.test.ts`: one Postgres for all test files of a run, handed to
 * them through `TEST_DATABASE_URL`, which `startPostgres()` reads. JavaScript, because Jest itself imports
 * it, without our transform.
 */
import { startPostgres } from './start-postgres.ts';

let postgres;

export default async function setup() {
  postgres = await startPostgres({ durable: false });
  process.env.TEST_DATABASE_URL = postgres.adminUrl;
}

/** For jest-global-teardown.mjs, which Jest imports into the same process. */
export async function stop() {
  await postgres?.stop();
}
