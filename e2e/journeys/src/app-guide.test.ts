import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { guideBlocks, printedBy } from './testing/guide-blocks.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
/** Inside the workspace, so that `@sync/*` resolves as it does for a reader. */
const FOLDER = join(ROOT, '.cache', 'app-guide');
const run = promisify(execFile);

describe('the guide "build an app", followed literally', () => {
  let devices: string;
  beforeAll(async () => {
    devices = await mkdtemp(join(tmpdir(), 'app-guide-'));
  });
  afterAll(async () => {
    for (const folder of [FOLDER, devices]) await rm(folder, { recursive: true, force: true });
  });

  it('writes without a server, and has it on another device when there is one', async () => {
    const guide = await readFile(join(ROOT, 'docs/guides/build-an-app.md'), 'utf8');
    const blocks = guideBlocks(guide);
    expect(blocks.map(({ file }) => file)).toEqual(['notes/driver.ts', 'notes/notes.ts']);
    expect(blocks[1]?.code.split('\n').length).toBeLessThanOrEqual(60);
    for (const { file, code } of blocks) {
      await mkdir(join(FOLDER, dirname(file)), { recursive: true });
      await writeFile(join(FOLDER, file), code);
    }
    // Its user is the same in every run: here it has a tenant of its own.
    const app = join(FOLDER, 'notes/notes.ts');
    const text = await readFile(app, 'utf8');
    await writeFile(app, text.replace("tenantId: 'acme'", `tenantId: 't-${process.pid}-${Date.now()}'`));
    const commands = [...guide.matchAll(/^(STACK_JSON= )?npx node (.*)$/gm)];
    expect(commands).toHaveLength(4);
    let printed = '';
    for (const [, withoutServer, args = ''] of commands) {
      const words = [...args.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');
      const argv = words.map((word) =>
        word.startsWith('/tmp/')
          ? join(devices, word.slice('/tmp/'.length))
          : word.replace(/^notes\/notes\.ts$/, app),
      );
      for (const name of ['phone', 'tablet']) await mkdir(join(devices, name), { recursive: true });
      const env = { ...process.env, NODE_OPTIONS: '', ...(withoutServer ? { STACK_JSON: '' } : {}) };
      const { stdout } = await run(process.execPath, argv, { cwd: ROOT, env, timeout: 100_000 });
      printed += stdout;
    }
    expect(printed).toBe(printedBy(guide));
  });
});
