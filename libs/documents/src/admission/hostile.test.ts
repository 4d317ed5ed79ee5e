import { readFile } from 'node:fs/promises';
import { expect, it } from '@jest/globals';
import { REFUSALS } from './refusal.ts';
import { HOSTILE_KINDS } from '../testing/hostile-updates.ts';
import { attackDocument } from '../testing/attack-document.ts';

it('documents every code that an update can be refused with', async () => {
  const text = await readFile(new URL('../../../../docs/protocol.md', import.meta.url), 'utf8');
  const [, section = ''] = text.split('### Codes of documents');
  for (const code of Object.keys(REFUSALS)) expect(section).toContain(`| \`${code}\``);
});

it('refuses 10,000 hostile updates with a code, or they are harmless', () => {
  const report = attackDocument(10_000, 20_261_122);
  expect(Object.keys(report).sort()).toEqual(Object.keys(HOSTILE_KINDS).sort());
  const sum = Object.values(report)
    .flatMap(Object.values)
    .reduce((total: number, count) => total + Number(count), 0);
  expect(sum).toBe(10_000);
  // What is a lie by construction is never admitted.
  expect(report['v2']).toEqual({ update_invalid: expect.any(Number) });
  expect(report['impersonation']).toEqual({ client_id_foreign: expect.any(Number) });
  expect(report['rewritten-history']).toEqual({ client_id_foreign: expect.any(Number) });
}, 120_000);
