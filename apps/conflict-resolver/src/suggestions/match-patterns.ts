import { Worker } from 'node:worker_threads';

/**
 * Plain JavaScript, because it runs as it stands: in the tests from TypeScript sources, in production from
 * dist.
 */
const MATCHER = `
  const { parentPort, workerData } = require('node:worker_threads');
  const expressions = workerData.patterns.map((pattern) => new RegExp(pattern, 'iu'));
  const matches = (texts) => expressions.some((expression) => texts.some((text) => expression.test(text)));
  parentPort.postMessage(workerData.groups.map(matches));`;
const MAX_HEAP_MB = 64;

/**
 * Which groups of texts hold one that a pattern matches.
 *
 * Patterns are other people's, and JavaScript's regular expressions can run for years. They run in a thread
 * that is ended after `limitMs`; starting it takes some 40 ms, which a question to a language model does not
 * notice. (A time limit of `node:vm` works too, but stops everything else in the process, so it had to be so
 * short that a busy machine ran into it.)
 *
 * @param patterns valid regular expressions, flags `iu`
 * @returns one answer per group, or null when they did not come to an end
 */
export async function matchPatterns(
  patterns: readonly string[],
  groups: readonly (readonly string[])[],
  limitMs: number,
): Promise<readonly boolean[] | null> {
  if (patterns.length === 0 || groups.length === 0) return groups.map(() => false);
  const worker = new Worker(MATCHER, {
    eval: true,
    workerData: { patterns, groups },
    // Nothing of the process is the matcher's business.
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: MAX_HEAP_MB },
  });
  try {
    return await new Promise<readonly boolean[] | null>((resolve) => {
      const timer = setTimeout(() => resolve(null), limitMs);
      worker.once('message', (answers: readonly boolean[]) => {
        clearTimeout(timer);
        resolve(answers);
      });
      worker.once('error', () => {
        clearTimeout(timer);
        resolve(null);
      });
    });
  } finally {
    await worker.terminate();
  }
}
