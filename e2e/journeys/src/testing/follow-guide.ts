import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { stripVTControlCharacters } from 'node:util';

/** On a machine that is five times slower than one on which it takes 40 s. */
const COMMANDS_LIMIT_MS = 200_000;
const START_LIMIT_MS = 100_000;

/** A block of a quickstart, as it says what is to be done with it: ```ts file=main.ts or ```sh in=clone */
interface Step {
  readonly text: string;
  readonly file?: string | undefined;
  readonly place?: string | undefined;
}

/** Who follows a guide, and where. */
export interface Reader {
  /** Empty at first; the app is made here. */
  readonly folder: string;
  /** What `/tmp` is for this reader. */
  readonly temporary: string;
  readonly env: NodeJS.ProcessEnv;
}

/**
 * Does what a quickstart says, block by block, in its order: writes files, runs commands. What is done in the
 * clone, and what keeps running, is left to the caller.
 * @returns what the last block of commands has printed
 * @throws Error with the output of a command that fails
 */
export async function followGuide(guide: string, reader: Reader): Promise<string> {
  let printed = '';
  for (const { text, file, place } of steps(guide)) {
    if (file !== undefined) {
      await mkdir(dirname(join(reader.folder, file)), { recursive: true });
      await writeFile(join(reader.folder, file), text);
    } else if (place === undefined) printed = await runInShell(text, reader);
  }
  return printed;
}

/** The commands that a guide wants in the background. */
export function startInBackground(guide: string, reader: Reader): ChildProcess {
  const step = steps(guide).find(({ place }) => place === 'background');
  if (!step) throw new Error('The guide has nothing for the background');
  return spawnShell(step.text, reader, true);
}

/** The commands of a guide that belong into a clone of the repository. */
export function commandsInClone(guide: string): string[] {
  return steps(guide).flatMap(({ text, place }) => (place === 'clone' ? text.trim().split('\n') : []));
}

/** The first match in what a process prints. @throws Error when it ends without one, or takes too long */
export async function outputOf(child: ChildProcess, pattern: RegExp): Promise<string> {
  let all = '';
  if (!child.stdout) throw new Error('It has no output');
  const signal = AbortSignal.timeout(START_LIMIT_MS);
  for await (const coloured of createInterface({ input: child.stdout, signal })) {
    const line = stripVTControlCharacters(coloured);
    all += `${line}\n`;
    const [found] = pattern.exec(line) ?? [];
    if (found !== undefined) return found;
  }
  throw new Error(`It has ended, or taken too long, without ${pattern.source}:\n${all}`);
}

function steps(guide: string): Step[] {
  return [...guide.matchAll(/```(\w+)(?: (file|in)=(\S+))?\n([\s\S]*?)```/g)].flatMap(
    ([, language, kind, value, text = '']): Step[] => {
      if (kind === 'file') return [{ text, file: value }];
      return language === 'sh' ? [{ text, place: value }] : [];
    },
  );
}

async function runInShell(commands: string, reader: Reader): Promise<string> {
  const child = spawnShell(commands, reader, true);
  const limit = setTimeout(() => endGroup(child), COMMANDS_LIMIT_MS);
  const output = { out: '', error: '' };
  child.stdout?.on('data', (chunk: Buffer) => (output.out += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (output.error += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(limit);
  if (code === 0) return output.out;
  throw new Error(`${commands}\nended with ${code ?? 'a signal'}:\n${output.out}${output.error}`);
}

/** Ends what was started as a group of its own. */
export function endGroup({ pid }: ChildProcess): void {
  if (pid !== undefined) process.kill(-pid);
}

function spawnShell(commands: string, { folder, temporary, env }: Reader, detached: boolean): ChildProcess {
  const script = `set -e\n${commands.replaceAll('/tmp/', `${temporary}/`)}`;
  return spawn('bash', ['-c', script], {
    cwd: folder,
    // Where tests run with colours, Node would print `true` in yellow.
    env: { ...env, FORCE_COLOR: '0' },
    detached,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}
