import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createTestServer } from '@sync/client-testing';
import { SERVER_KIT, runChecks } from '@sync/e2e-conformance';
import { NOT_KEPT, type ServedTestServer, platformTypes, serve } from '@sync/e2e-memory-server';
import { readRuleTests, readRules } from '../protocol-rules/read-rules.ts';
import { checksOf, judgeRules } from './judge-rules.ts';

let served: ServedTestServer;
beforeAll(async () => {
  served = await serve(createTestServer({ entities: platformTypes() }));
});
afterAll(() => served.stop());

it('keeps every rule that the kit can check of it, but for the list of those that it does not', async () => {
  const [rulesText, testsText] = await Promise.all(
    ['protocol.md', 'protocol-tests.md'].map((name) => {
      return readFile(resolve(import.meta.dirname, '../../docs', name), 'utf8');
    }),
  );
  const rules = readRules(rulesText ?? '');
  const references = readRuleTests(testsText ?? '');
  const { url } = served;
  const target = { gateway: url, identity: url, learning: url, authoring: url };
  const results = await runChecks(SERVER_KIT, target, checksOf(SERVER_KIT, rules, references));
  const lines = judgeRules(SERVER_KIT, rules, references, results).groups.flatMap((group) => group.lines);
  const broken = lines.filter(({ kind }) => kind === 'failed');
  const unexpected = broken.filter(({ id }) => !Object.hasOwn(NOT_KEPT, id));
  expect(unexpected.map(({ id, why }) => `${id}: ${why}`)).toEqual([]);
  expect(broken.map(({ id }) => id)).toEqual(Object.keys(NOT_KEPT));
  expect(lines.filter(({ kind }) => kind === 'passed')).toHaveLength(113);
  expect(lines.filter(({ verdict }) => verdict === 'not checked here')).toEqual([]);
}, 600_000);
