import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { followGuide } from './testing/follow-guide.ts';
import { printedBy } from './testing/printed-by.ts';

const ROOT = resolve(import.meta.dirname, '../../..');

describe('the guide "generate a client", followed literally', () => {
  let guide: string;
  let temporary: string;
  beforeAll(async () => {
    guide = await readFile(join(ROOT, 'docs/guides/generate-a-client.md'), 'utf8');
    temporary = await mkdtemp(join(tmpdir(), 'generated-clients-'));
  });
  afterAll(async () => rm(temporary, { recursive: true, force: true }));

  it('names the versions that run here', async () => {
    const manifest = await readFile(join(ROOT, 'package.json'), 'utf8');
    const { devDependencies } = JSON.parse(manifest) as { devDependencies: Record<string, string> };
    const named = [...guide.matchAll(/ (@?[\w/-]+)@(\d+\.\d+\.\d+)/g)].map(([, name, version]) => [
      name,
      version,
    ]);
    expect(named.map(([name]) => name)).toEqual(
      expect.arrayContaining(['openapi-fetch', 'openapi-typescript', '@hey-api/openapi-ts', 'orval']),
    );
    expect(devDependencies).toMatchObject(Object.fromEntries(named) as Record<string, string>);
  });

  it('makes three clients that compile, sign below themselves, and push, pull and ack', async () => {
    const folder = join(temporary, 'app');
    await mkdir(folder);
    await writeFile(join(temporary, 'stack.json'), process.env['STACK_JSON'] ?? '');
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }');
    await copyFile(join(ROOT, 'docs/api/sync-v1.openapi.json'), join(folder, 'sync-v1.openapi.json'));
    // Instead of the packages that the guide installs: the same ones, without a network.
    await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
    const { NODE_OPTIONS: _options, STACK_JSON: _stack, PATH, ...rest } = process.env;
    const paths = [dirname(process.execPath), PATH ?? ''].join(delimiter);
    const env = { ...rest, PATH: paths, npm_config_offline: 'true', npm_config_update_notifier: 'false' };
    expect(await followGuide(guide, { folder, temporary, env })).toBe(printedBy(guide));
  });
});
