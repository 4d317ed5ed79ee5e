/**
 * Starts the stack once for all test files, or uses a running one: `STACK_JSON` is the line that `npm run stack -- --json` printed.
 */
import './resolve-sources.mjs';

let stack;

export default async function setup() {
  if (process.env.STACK_JSON) return;
  const { startStackProcess } = await import('@sync/e2e-device');
  stack = await startStackProcess();
  process.env.STACK_JSON = JSON.stringify(stack.line);
}

export async function stop() {
  await stack?.stop();
}
