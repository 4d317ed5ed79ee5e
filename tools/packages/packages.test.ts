import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type LockFile, refusedLicences } from './licences.ts';
import { findVulnerabilities, readReport } from './vulnerabilities.ts';

const ROOT = resolve(import.meta.dirname, '../..');

describe('licences', () => {
  it('are accepted of everything that is installed', () => {
    const lock = JSON.parse(readFileSync(resolve(ROOT, 'package-lock.json'), 'utf8')) as LockFile;
    expect(Object.keys(lock.packages).length).toBeGreaterThan(500);
    expect(refusedLicences(lock)).toEqual([]);
  });

  it.each<[string | undefined, boolean]>([
    ['MIT', true],
    ['(MIT OR GPL-3.0-only)', true],
    ['Apache-2.0 AND MIT', true],
    ['MIT AND GPL-3.0-only', false],
    ['AGPL-3.0-or-later', false],
    ['SSPL-1.0', false],
    ['SEE LICENSE IN LICENSE.md', false],
    ['UNLICENSED', false],
    [undefined, false],
  ])('%s: accepted is %s', (license, accepted) => {
    const lock = { packages: { 'node_modules/one': license === undefined ? {} : { license } } };
    expect(refusedLicences(lock).length === 0).toBe(accepted);
  });

  it('may ask for more where it is a tool that is shipped to nobody', () => {
    const license = 'MPL-2.0';
    expect(refusedLicences({ packages: { 'node_modules/one': { license, dev: true } } })).toEqual([]);
    expect(refusedLicences({ packages: { 'node_modules/one': { license } } })).toHaveLength(1);
  });

  it('are not asked of the packages of the workspace', () => {
    expect(
      refusedLicences({ packages: { '': {}, 'libs/domain': {}, 'node_modules/a': { link: true } } }),
    ).toEqual([]);
  });
});

describe('vulnerabilities', () => {
  let answer: { status: number; body: object };
  const server = createServer(({ method, url = '' }, response) => {
    // npm asks for the versions of what is vulnerable, and of what depends on it.
    const versions = { name: url.slice(1), versions: {}, 'dist-tags': {} };
    response.writeHead(method === 'POST' ? answer.status : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(method === 'POST' ? answer.body : versions));
  });
  let registry: string;
  beforeEach(async () => {
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    registry = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  });

  it('are found where the registry knows one', async () => {
    const advisory = { id: 1, url: 'https://example.org/1', title: 'a hole', severity: 'high' };
    answer = { status: 200, body: { pg: [{ ...advisory, vulnerable_versions: '<99', cwe: [] }] } };
    const found = await findVulnerabilities(ROOT, registry);
    expect(found).toMatchObject({ kind: 'answered' });
    const names = found.kind === 'answered' ? found.vulnerabilities.map(({ name }) => name) : [];
    expect(names).toContain('pg');
  });

  it('are none where it knows none', async () => {
    answer = { status: 200, body: {} };
    expect(await findVulnerabilities(ROOT, registry)).toEqual({ kind: 'answered', vulnerabilities: [] });
  });

  it.each([405, 503])('are unknown, which is no good news, where it answers %s', async (status) => {
    answer = { status, body: {} };
    expect(await findVulnerabilities(ROOT, registry)).toMatchObject({
      kind: 'unreachable',
      why: expect.stringContaining(String(status)),
    });
  });

  it('are unknown where npm says nothing that can be read', () => {
    expect(readReport('')).toEqual({ kind: 'unreachable', why: 'npm audit gave no report' });
    expect(readReport('{}')).toEqual({ kind: 'unreachable', why: 'npm audit gave no report' });
  });
});
