/** Beginnings after which a reader has taken the text for what it reads. */
const HEADS = [
  '',
  'a',
  'a=',
  'a="',
  'sync=(',
  'sync=("@method"',
  'sync=:',
  'a/b;',
  'mailto:',
  'http://a',
  'en-',
  'P1',
];
/** What is repeated. */
const PUMPS = [' ', '\t', 'a', '0', '-', '.', ',', ';', '/', ':', '@', '=', '&', '%', '\\', '""', '("")'];
const LONGER_PUMPS = [
  'a ',
  'a-',
  'a.',
  'a,',
  'a=1, ',
  ';a=1',
  '"a" ',
  '1:',
  '\\"',
  '{a}',
  '[',
  '(',
  '\u00a0',
];
/** Ends that make a reader doubt all that it has taken. */
const TAILS = ['', '\0', 'a', '"', '!'];

const FEW = 1_000;
const MANY = 8_000;
/** What is done within it may grow as it likes: a quadratic reader of 8,000 characters takes ten times as long. */
const MEASURABLE_MS = 4;
/** Linear is 8, quadratic 64. */
const MOST_GROWTH = 24;
const RUNS = 4;

/** Texts on which expressions and loops go wrong, each as a function of its length. */
export const HOSTILE_TEXTS: readonly ((length: number) => string)[] = HEADS.flatMap((head) =>
  [...PUMPS, ...LONGER_PUMPS].flatMap((pump) =>
    TAILS.map((tail) => (length: number) => head + pump.repeat(Math.ceil(length / pump.length)) + tail),
  ),
);

/**
 * Whether the work that a reader has with a text grows faster than the text: it is given one of 1,000 and one
 * of 8,000 characters, and the better of several runs counts. Where both are over at once, it does not.
 * @param read may throw; what it answers is not looked at
 */
export function outgrowsItsInput(
  read: (text: string) => unknown,
  textOf: (length: number) => string,
): boolean {
  const many = leastMs(read, textOf(MANY));
  return many > MEASURABLE_MS && many > MOST_GROWTH * leastMs(read, textOf(FEW));
}

function leastMs(read: (text: string) => unknown, text: string): number {
  let least = Number.POSITIVE_INFINITY;
  for (let run = 0; run < RUNS && least > MEASURABLE_MS / MOST_GROWTH; run += 1) {
    const fromMs = performance.now();
    try {
      read(text);
    } catch {
      // A refusal is an answer.
    }
    least = Math.min(least, performance.now() - fromMs);
  }
  return least;
}
