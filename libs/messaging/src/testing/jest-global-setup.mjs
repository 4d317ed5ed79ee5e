/**
 * Jest's globalSetup of projects with `*.nats.test.ts`: one NATS server and one Postgres for all test files
 * of a run, handed to them through `TEST_NATS_URL` and `TEST_DATABASE_URL`. JavaScript, because Jest itself
 * imports it, without our transform and without the export condition that finds sources; hence the hook.
 */
import { registerHooks } from 'node:module';

registerHooks({
  resolve: (specifier, context, next) =>
    next(
      specifier,
      specifier.startsWith('@sync/')
        ? { ...context, conditions: [...context.conditions, 'source'] }
        : context,
    ),
});

let servers;

export default async function setup() {
  const { startServers } = await import('./start-servers.ts');
  servers = await startServers();
  process.env.TEST_DATABASE_URL = servers.postgresUrl;
  process.env.TEST_NATS_URL = servers.natsUrl;
}

/** For jest-global-teardown.mjs, which Jest imports into the same process. */
export async function stop() {
  await servers?.stop();
}
