/**
 * `node --conditions=source libs/protocol/freeze/lock-wire-schemas.ts`: locks the wire schemas, unless a
 * version decision is missing.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { PROTOCOL_VERSION, VERSION_HISTORY } from '../src/version/history.ts';
import { changedNames, lockOf, reviewWire } from './review-wire.ts';
import type { WireLock } from './review-wire.ts';
import { WIRE_SCHEMAS } from './wire-schemas.ts';

const file = resolve(import.meta.dirname, '../src/version/wire-schemas.lock.json');
const stored = await readFile(file, 'utf8').catch(() => '{"version":"","schemas":{}}');
const lock = JSON.parse(stored) as WireLock;
const now = lockOf(WIRE_SCHEMAS, PROTOCOL_VERSION);
const problems = reviewWire(lock, now, VERSION_HISTORY);
if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exitCode = 1;
} else {
  await writeFile(file, `${JSON.stringify(now, null, 1)}\n`);
  console.log(
    `locked ${Object.keys(now.schemas).length} schemas at ${now.version}; changed: ${changedNames(lock, now).join(', ') || 'none'}`,
  );
}
