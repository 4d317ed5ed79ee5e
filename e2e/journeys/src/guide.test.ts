import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { type GuideBlock, guideBlocks, printedBy } from './testing/guide-blocks.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
/** Inside the workspace, so that `@sync/*` resolves as it does for a reader. */
const FOLDER = join(ROOT, '.cache', 'guide');
const run = promisify(execFile);

describe('the guide "plug your service in", followed literally', () => {
  let service: ChildProcess | undefined;
  let blocks: GuideBlock[];
  let guide: string;

  beforeAll(async () => {
    guide = await readFile(join(ROOT, 'docs/guides/plug-your-service-in.md'), 'utf8');
    blocks = guideBlocks(guide);
    for (const { file, code } of blocks) {
      await mkdir(join(FOLDER, dirname(file)), { recursive: true });
      await writeFile(join(FOLDER, file), code);
    }
  });
  afterAll(async () => {
    service?.kill('SIGTERM');
    await rm(FOLDER, { recursive: true, force: true });
  });

  const node = (file: string): [string, string[]] => [
    process.execPath,
    ['--conditions=source', '--disable-warning=MODULE_TYPELESS_PACKAGE_JSON', join(FOLDER, file)],
  ];
  const env = { ...process.env, NODE_OPTIONS: '' };

  it('makes a new entity type usable on two devices and prints what the guide says', async () => {
    expect(blocks.map(({ file }) => file)).toEqual(['bookmarks/service.ts', 'bookmarks/try.ts']);
    const [command, args] = node('bookmarks/service.ts');
    const started = spawn(command, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'inherit'] });
    service = started;
    const ready = new Promise<void>((resolveReady, reject) => {
      started.stdout.on('data', (chunk: Buffer) => {
        if (chunk.toString().includes('the registration is accepted')) resolveReady();
      });
      started.once('exit', (code) => reject(new Error(`the service ended with ${code}`)));
    });
    await ready;
    const printed = printedBy(guide);
    const [tryCommand, tryArgs] = node('bookmarks/try.ts');
    const { stdout } = await run(tryCommand, tryArgs, { cwd: ROOT, env, timeout: 60_000 });
    expect(stdout).toBe(printed);
  });
});
