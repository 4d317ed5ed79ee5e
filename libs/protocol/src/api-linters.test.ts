import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { Document, Ruleset, type RulesetDefinition, Spectral } from '@stoplight/spectral-core';
import { Json } from '@stoplight/spectral-parsers';
import { asyncapi, oas } from '@stoplight/spectral-rulesets';
import { parse } from 'yaml';
import { apiDocuments } from './api-documents.ts';

const DOCUMENTS = resolve(import.meta.dirname, '../../../docs/api');
const REDOCLY = createRequire(import.meta.url).resolve('@redocly/cli/bin/cli.js');
const run = promisify(execFile);
const documents = [...apiDocuments()];

/** What Spectral finds, by rule and place. */
async function askSpectral(file: string, text: string): Promise<string[]> {
  const source = join(DOCUMENTS, '.spectral.yaml');
  const written = parse(await readFile(source, 'utf8')) as { readonly extends: readonly string[] };
  // The command knows these by name, the library does not.
  expect(written.extends).toEqual(['spectral:oas', 'spectral:asyncapi']);
  const ruleset = { ...written, extends: [oas, asyncapi] } as RulesetDefinition;
  const spectral = new Spectral();
  spectral.setRuleset(new Ruleset(ruleset, { source }));
  const findings = await spectral.run(new Document(text, Json, join(DOCUMENTS, file)));
  return findings.map(({ code, path }) => `${code} at ${path.join('/')}`);
}

/** What Redocly finds, by rule. It asks nobody: neither whether it is the newest, nor who uses it. */
async function askRedocly(file: string, text: string): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'redocly-'));
  try {
    for (const name of ['redocly.yaml', '.redocly.lint-ignore.yaml'])
      await copyFile(join(DOCUMENTS, name), join(folder, name));
    await writeFile(join(folder, file), text);
    const quiet = { REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' };
    const options = { cwd: folder, env: { ...quiet, HOME: folder }, maxBuffer: 2 ** 26 };
    const args = [REDOCLY, 'lint', '--format=json', '--max-problems=1000', file];
    // It ends with 1 when it has found something.
    const { stdout } = await run(process.execPath, args, options).catch(
      (error: unknown) => error as { stdout: string },
    );
    const { problems } = JSON.parse(stdout) as { problems: readonly { ruleId: string }[] };
    return problems.map(({ ruleId }) => ruleId);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const isOpenApi = ([file]: readonly [string, string]): boolean => file.endsWith('.openapi.json');

describe('Spectral', () => {
  it.each(documents)('finds nothing in %s', async (file, text) => {
    expect(await askSpectral(file, text)).toEqual([]);
  });

  it.each(documents.filter(isOpenApi))('finds what is wrong in %s', async (file, text) => {
    const { tags: _tags, servers: _servers, ...rest } = JSON.parse(text) as Record<string, unknown>;
    const broken = await askSpectral(file, JSON.stringify(rest));
    expect(broken).toContain('oas3-api-servers at ');
    expect(broken.filter((finding) => finding.startsWith('operation-tag-defined')).length).toBeGreaterThan(5);
  });

  it('finds an example that does not match its schema', async () => {
    const [[file, text] = ['', '']] = documents.filter(isOpenApi);
    const broken = text.replace('"waitMs": 25000', '"waitMs": "soon"');
    expect(broken).not.toBe(text);
    const body = 'paths//sync/v1/pull/post/requestBody/content/application/json';
    expect(await askSpectral(file, broken)).toEqual([`oas3-valid-media-example at ${body}/example/waitMs`]);
  });
});

describe.each(documents.filter(isOpenApi))('Redocly, of %s', (file, text) => {
  it('finds nothing', async () => {
    expect(await askRedocly(file, text)).toEqual([]);
  });

  it('finds a scheme of security that is not defined', async () => {
    const broken = text.replaceAll('"accessToken": [', '"token": [');
    expect(await askRedocly(file, broken)).toContain('security-defined');
  });
});
