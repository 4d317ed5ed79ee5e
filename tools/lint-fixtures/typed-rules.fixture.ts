// lint as: typed
import { readFile } from 'node:fs/promises';
import { Stats } from 'node:fs'; // expect: @typescript-eslint/consistent-type-imports

export function takesAny(value: any): string { // expect: @typescript-eslint/no-explicit-any
  const inner = value.inner; // expect: @typescript-eslint/no-unsafe-assignment, @typescript-eslint/no-unsafe-member-access
  takesText(inner); // expect: @typescript-eslint/no-unsafe-argument
  inner(); // expect: @typescript-eslint/no-unsafe-call
  return inner; // expect: @typescript-eslint/no-unsafe-return
}

export function forgetsAPromise(): void {
  readFile('x'); // expect: @typescript-eslint/no-floating-promises
  ['x'].forEach(async (name) => { await readFile(name); }); // expect: @typescript-eslint/no-misused-promises
}

export function forgetsACase(order: 'before' | 'after' | 'equal'): number {
  switch (order) { // expect: @typescript-eslint/switch-exhaustiveness-check
    case 'before':
      return -1;
    case 'after':
      return 1;
  }
  return 0;
}

function takesText(text: string): boolean {
  return text! == ''; // expect: @typescript-eslint/no-non-null-assertion, @typescript-eslint/no-unnecessary-type-assertion, eqeqeq
}

// @ts-ignore expect: @typescript-eslint/ban-ts-comment
export const size = (stats: Stats): number => stats.size;

// eslint-disable-next-line eqeqeq -- a comment that switches a rule off does nothing; expect: noInlineConfig
export const same = size == null; // expect: @typescript-eslint/no-unnecessary-condition, eqeqeq
