/**
 * Starts the stack once for all test files, or uses a running one: `STACK_JSON` is the line that `npm run
 * stack -- --json` printed.
 */
import './resolve-sources.mjs';

let stack;

export default async function setup() {
  if (process.env.STACK_JSON) return;
  // Nothing else of it: what is global here is global in every test file, and Yjs complains of being there
  // twice.
  const { startStackProcess } = await import('@sync/e2e-device/stack');
  stack = await startStackProcess();
  process.env.STACK_JSON = JSON.stringify(stack.line);
}

export async function stop() {
  await stack?.stop();
}
