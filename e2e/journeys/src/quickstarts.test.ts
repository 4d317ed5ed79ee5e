import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { type Browser, BROWSER_START_TIMEOUT_MS, launchChromium, type Page } from '@sync/browser/testing';
import { buildPhone, bundleApp } from './testing/expo/build-phone.ts';
import {
  commandsInClone,
  endGroup,
  followGuide,
  outputOf,
  type Reader,
  startInBackground,
} from './testing/follow-guide.ts';
import { printedBy } from './testing/printed-by.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
/** What the quickstarts ask for, and what the packages say in `engines`. */
const OLDEST_NODE = '22.18.0';
/** What Expo SDK 55 is made for. */
const REACT_NATIVE = {
  ...{ react: '19.2.9', '@types/react': '19.2.6' },
  ...{ 'react-native': '0.83.9', '@react-native/babel-preset': '0.83.9' },
};
const HERMES_FOLDER = { darwin: 'osx-bin', win32: 'win64-bin' }[process.platform as string] ?? 'linux64-bin';
const INSTALL_TIMEOUT_MS = 600_000;
const run = promisify(execFile);

const readGuide = (name: string) => readFile(join(ROOT, `docs/guides/${name}.md`), 'utf8');

/** The longest file of code in a guide, in lines. */
function longestFile(guide: string): number {
  const files = [...guide.matchAll(/```\w+ file=\S+\n([\s\S]*?)\n```/g)];
  return Math.max(...files.map(([, code = '']) => code.split('\n').length));
}

describe('somebody with the packages alone', () => {
  let temporary: string;
  let env: NodeJS.ProcessEnv;
  beforeAll(async () => {
    temporary = await mkdtemp(join(tmpdir(), 'quickstart-'));
    const stack = process.env['STACK_JSON'] ?? '';
    await writeFile(join(temporary, 'stack.json'), stack);
    // What the workspace has would be found from nowhere else.
    const { NODE_OPTIONS: _options, STACK_JSON: _stack, ...rest } = process.env;
    env = {
      ...rest,
      ...{ npm_config_prefer_offline: 'true', npm_config_audit: 'false', npm_config_fund: 'false' },
      // A request that stalls is made again; npm itself would wait for five minutes.
      ...{ npm_config_fetch_timeout: '30000', npm_config_fetch_retries: '4' },
    };
    const [pack = '', startStack = ''] = commandsInClone(await readGuide('quickstart/node'));
    expect(startStack).toBe('npm run --silent stack -- --json | tee /tmp/stack.json');
    await run('bash', ['-c', pack.replace('/tmp/', `${temporary}/`)], { cwd: ROOT, env });
  }, INSTALL_TIMEOUT_MS);
  afterAll(async () => rm(temporary, { recursive: true, force: true }));

  async function reader(name: string, tools: readonly string[] = []): Promise<Reader> {
    const folder = join(temporary, name);
    await mkdir(folder);
    const paths = [...tools, env['PATH'] ?? ''].join(delimiter);
    return { folder, temporary, env: { ...env, PATH: paths } };
  }

  /** The user of a guide is the same in every run; here it has a tenant of its own. */
  async function guideOf(name: string): Promise<string> {
    const guide = await readGuide(name);
    expect(commandsInClone(guide)).toEqual(commandsInClone(await readGuide('quickstart/node')));
    expect(guide).toContain("tenantId: 'acme'");
    return guide.replace("tenantId: 'acme'", `tenantId: 't-${basename(name)}-${process.pid}-${Date.now()}'`);
  }

  /** Somebody whose `node` is the oldest one that is promised. */
  async function readerOnOldNode(name: string): Promise<Reader> {
    const tools = join(temporary, 'tools');
    await run('npm', ['install', '--prefix', tools, `node@${OLDEST_NODE}`], { env });
    const old = await reader(name, [join(tools, 'node_modules/.bin')]);
    const { stdout } = await run('node', ['--version'], { env: old.env });
    expect(stdout.trim()).toBe(`v${OLDEST_NODE}`);
    return old;
  }

  it(
    'has a command-line app that works offline, on the oldest Node that is promised',
    async () => {
      const node = await readerOnOldNode('node');
      const guide = await guideOf('quickstart/node');
      expect(longestFile(guide)).toBeLessThanOrEqual(60);
      expect(await followGuide(guide, node)).toBe(printedBy(guide));
      const installed = await readFile(join(node.folder, 'node_modules/@sync/client/package.json'), 'utf8');
      expect(JSON.parse(installed)).toMatchObject({ engines: { node: `>=${OLDEST_NODE}` } });
    },
    INSTALL_TIMEOUT_MS,
  );

  it(
    'has a service that owns a type of its own, on the oldest Node that is promised',
    async () => {
      const service = await readerOnOldNode('service');
      const guide = await guideOf('plug-your-service-in');
      const [toRun = '', toTry = ''] = guide.split(/^(?=## 4)/m);
      await followGuide(toRun, service);
      const running = startInBackground(guide, service);
      try {
        await outputOf(running, /the registration is accepted/);
        expect(await followGuide(toTry, service)).toBe(printedBy(guide));
      } finally {
        endGroup(running);
      }
    },
    INSTALL_TIMEOUT_MS,
  );

  it(
    'has an app for phones: its types, Hermes, and what it does without the APIs of the web',
    async () => {
      const guide = await guideOf('quickstart/react-native');
      expect(longestFile(guide)).toBeLessThanOrEqual(60);
      const phone = await reader('phone');
      // What an app of Expo has already; of Expo itself only what the quickstart adds.
      await writeFile(join(phone.folder, 'package.json'), JSON.stringify({ dependencies: REACT_NATIVE }));
      const settings = { npm_config_legacy_peer_deps: 'true', npm_config_ignore_scripts: 'true' };
      await followGuide(guide, { ...phone, env: { ...phone.env, ...settings } });

      const compilerOptions = {
        ...{ module: 'esnext', moduleResolution: 'bundler', jsx: 'react-jsx', target: 'es2022' },
        ...{ customConditions: ['react-native'], lib: ['esnext', 'dom'], types: [] },
        ...{ noEmit: true, strict: true, skipLibCheck: true },
      };
      // Expo has this in its `expo-env.d.ts`.
      const environment = 'declare const process: { env: Record<string, string | undefined> };';
      await writeFile(join(phone.folder, 'env.d.ts'), environment);
      const config = { compilerOptions, files: ['App.tsx', 'env.d.ts'] };
      await writeFile(join(phone.folder, 'tsconfig.json'), JSON.stringify(config));
      await run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc')], { cwd: phone.folder });

      const hermes = join(phone.folder, 'node_modules/hermes-compiler/hermesc', HERMES_FOLDER, 'hermesc');
      await chmod(hermes, 0o755);
      const bytecode = join(phone.folder, 'App.hbc');
      await run(hermes, ['-w', '-emit-binary', '-out', bytecode, await bundleApp(phone.folder)]);
      expect((await stat(bytecode)).size).toBeGreaterThan(100_000);

      const stack = JSON.parse(process.env['STACK_JSON'] ?? '') as { gateway: string; identity: string };
      const program = await buildPhone(phone.folder, stack);
      const limits = ['--import', join(import.meta.dirname, 'testing/expo/without-web-apis.ts')];
      const use = async (...command: string[]) =>
        (await run(process.execPath, [...limits, program, ...command], { cwd: phone.folder, env })).stdout;
      expect(await use('add', 'read chapter 3')).toBe('waits read chapter 3\n');
      expect(await use('list')).toBe('waits read chapter 3\n');
      expect(await use('sync')).toBe('synced read chapter 3\n');
    },
    INSTALL_TIMEOUT_MS,
  );

  describe('has a page that works offline', () => {
    let browser: Browser;
    beforeAll(async () => {
      browser = await launchChromium();
    }, BROWSER_START_TIMEOUT_MS);
    afterAll(async () => browser.close());

    it(
      'and shows its notes on another device',
      async () => {
        const guide = await guideOf('quickstart/web');
        expect(longestFile(guide)).toBeLessThanOrEqual(60);
        const web = await reader('web');
        await followGuide(guide, web);
        const vite = startInBackground(guide, web);
        try {
          const address = await outputOf(vite, /http:\/\/127\.0\.0\.1:\d+\//);
          await tryThePage(await browser.newPage(), await browser.newPage(), address);
        } finally {
          endGroup(vite);
        }
      },
      INSTALL_TIMEOUT_MS,
    );
  });
});

/** The numbered steps of the guide. */
async function tryThePage(laptop: Page, tablet: Page, address: string): Promise<void> {
  const sent: string[] = [];
  laptop.on('request', (request) => {
    if (request.url().includes('/sync/v1/')) sent.push(request.url());
  });
  await laptop.goto(address);
  await add(laptop, 'read chapter 3');
  await sees(laptop, 'waits read chapter 3');
  await laptop.reload();
  await sees(laptop, 'waits read chapter 3');
  expect(sent).toEqual([]);

  await laptop.getByText('Go online').click();
  await sees(laptop, 'synced read chapter 3');
  await laptop.locator('output').getByText('live').waitFor();

  await tablet.goto(`${address}?device=tablet`);
  await tablet.getByText('Go online').click();
  await sees(tablet, 'synced read chapter 3');
  await add(tablet, 'and chapter 4');
  await sees(laptop, 'synced and chapter 4');
}

async function add(page: Page, text: string): Promise<void> {
  await page.getByLabel('Note').fill(text);
  await page.getByText('Add').click();
}

async function sees(page: Page, line: string): Promise<void> {
  await page.locator('li').getByText(line, { exact: true }).waitFor({ timeout: 100_000 });
}
