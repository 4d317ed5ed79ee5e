import type { StackLine } from '@sync/e2e-device';

/** The platform whose services are held to their contracts, as the setup handed it over. */
export function platform(): StackLine {
  const line = process.env['STACK_JSON'];
  if (!line) throw new Error('STACK_JSON is not set: run these tests through their jest.config.mjs');
  return JSON.parse(line) as StackLine;
}
