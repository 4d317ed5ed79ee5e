import { execFile } from 'node:child_process';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { chainTableSql, nextLinks, tenantPolicySql } from '@sync/postgres';
import { createTestDatabase, startPostgres, type TestDatabase } from '@sync/postgres/testing';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { exportOf, tenantsIn } from './export-database.ts';
import { verifyExport } from './verify-export.ts';

/** The columns of the gateway's table that the tool reads. */
class CreateChain1764000000000 implements MigrationInterface {
  readonly name = 'CreateChain1764000000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`CREATE TABLE audit_entry (tenant_id text COLLATE "C", position bigint, entry text,
      hash text, PRIMARY KEY (tenant_id, position))`);
    await runner.query(tenantPolicySql('audit_entry'));
    await runner.query(chainTableSql('audit_entry'));
  }

  async down(): Promise<void> {
    // Never asked for.
  }
}

let test: TestDatabase;

async function append(tenantId: string, count: number): Promise<void> {
  await test.database.inTenant(tenantId, async (tx) => {
    const drafts = Array.from({ length: count }, (_, index) => `user ${index} did “things”`);
    const links = await nextLinks(tx, 'audit_entry', tenantId, drafts, (what, position) => ({
      ...{ position, tenantId, what },
      detail: { z: 1.5e300, a: null },
    }));
    await tx.query(
      `INSERT INTO audit_entry SELECT $1, (row ->> 'position')::bigint, row ->> 'text', row ->> 'hash'
       FROM json_array_elements($2::json) AS row`,
      [tenantId, JSON.stringify(links)],
    );
  });
}

async function exported(tenantId: string): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of exportOf(test.database, tenantId)) lines.push(line);
  return lines;
}

beforeAll(async () => {
  const postgres = await startPostgres();
  test = await createTestDatabase({ postgres, name: 'audit', migrations: [CreateChain1764000000000] });
  await append('t1', 6);
  await append('t2', 1_200);
});
afterAll(() => test.drop());

describe('an export', () => {
  it('of any length verifies, and says which hash it ends with', async () => {
    expect(await tenantsIn(test.database)).toEqual(['t1', 't2']);
    const lines = await exported('t2');
    const end = JSON.parse(lines.at(-2) ?? '') as { readonly hash: string };
    expect(await verifyExport(lines)).toEqual({
      ...{ tenantId: 't2', checked: 1_200, broken: null },
      end: { position: '1200', hash: end.hash },
    });
    expect(await verifyExport(await exported('t-none'))).toMatchObject({ checked: 0, broken: null });
  });

  it.each<[string, string, (lines: string[]) => string[]]>([
    ['a changed line', '3', (lines) => lines.with(3, (lines[3] ?? '').replace('user 2', 'user 9'))],
    ['a line that is gone', '3', (lines) => lines.toSpliced(3, 1)],
    ['a line more', '4', (lines) => lines.toSpliced(4, 0, lines[3] ?? '')],
    ['lines that changed places', '2', (lines) => lines.with(2, lines[3] ?? '').with(3, lines[2] ?? '')],
    ['a cut end', '5', (lines) => lines.toSpliced(5, 2)],
    ['a cut file', '5', (lines) => lines.slice(0, 5)],
    ['an end that says less', '5', (lines) => [...lines.slice(0, 5), (lines[7] ?? '').replace('"6"', '"4"')]],
    ['a line behind the end', '7', (lines) => [...lines, lines[6] ?? '']],
    ['a line of no JSON', '3', (lines) => lines.with(3, '{')],
    [
      'a number that JSON has not',
      '3',
      (lines) => lines.with(3, (lines[3] ?? '').replace('1.5e+300', '1e999')),
    ],
    ['another tenant', '1', (lines) => lines.with(0, (lines[0] ?? '').replace('t1', 't2'))],
  ])('with %s is broken there', async (_what, position, change) => {
    expect(await verifyExport(change(await exported('t1')))).toMatchObject({ broken: { position } });
  });

  it('that is none is refused', async () => {
    for (const lines of [[], ['x'], ['{"head":1}'], ['{"head":{"tenantId":"t"}}']])
      await expect(verifyExport(lines)).rejects.toThrow('export');
  });
});

it('the command verifies files and databases, and its exit code says what came of it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'audit-'));
  const [good, bad, late] = [join(folder, 'good'), join(folder, 'bad'), join(folder, 'late')];
  const lines = await exported('t1');
  const { hash } = JSON.parse(lines[2] ?? '') as { readonly hash: string };
  const head = JSON.stringify({ head: { tenantId: 't1', after: '2', hash } });
  await writeFile(late, `${[head, ...lines.slice(3)].join('\n')}\n`);
  await writeFile(good, `${lines.join('\n')}\n`);
  await writeFile(bad, `${lines.toSpliced(2, 1).join('\n')}\n`);
  const run = async (...args: string[]): Promise<readonly [number, string]> => {
    const main = resolve(import.meta.dirname, 'main.ts');
    const { NODE_OPTIONS: _unset, ...env } = process.env;
    const options = { env };
    const ran = promisify(execFile)(process.execPath, ['--conditions=source', main, ...args], options);
    return ran.then(
      ({ stdout }) => [0, stdout] as const,
      (error: unknown) => {
        const { code, stdout } = error as { readonly code: number; readonly stdout: string };
        return [code, stdout] as const;
      },
    );
  };
  const [whole, rest, broken, database, nothing] = await Promise.all([
    run('verify', good),
    run('verify', late),
    run('verify', good, bad),
    run('verify', '--database', test.appUrl),
    run('verify'),
  ]);
  expect(whole).toEqual([0, expect.stringContaining('t1: 6 lines are whole')]);
  expect(rest).toEqual([0, expect.stringContaining('t1: 4 lines behind line 2 are whole')]);
  expect(broken).toEqual([1, expect.stringContaining('t1: BROKEN at line 2')]);
  expect(database).toEqual([0, expect.stringContaining('t2: 1200 lines are whole')]);
  expect(nothing[0]).toBe(2);
});
