/**
 * The stack, with an endpoint for suggestions configured: a free port on which the test that needs it
 * listens. No tenant has suggestions unless it switches them on, so nothing changes for the other tests.
 */
import '../../tools/jest/resolve-sources.mjs';
import startStack from '../../tools/jest/stack-setup.mjs';

export default async function setup() {
  const { freePort } = await import('@sync/postgres/testing');
  process.env.AI_BASE_URL ??= `http://127.0.0.1:${await freePort()}/v1`;
  process.env.AI_MODEL ??= 'test-model';
  process.env.AI_API_KEY ??= 'test-key';
  await startStack();
}
