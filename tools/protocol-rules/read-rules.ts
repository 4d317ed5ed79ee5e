import type { CheckName } from '@sync/e2e-conformance';

/** One rule of docs/protocol.md. */
export interface ProtocolRule {
  /** `PULL-3`: a section's prefix and a number. */
  readonly id: string;
  readonly text: string;
  /** In docs/protocol.md, counted from 1. */
  readonly line: number;
}

/** `path › title`: of the kit's own tests and of all others alike. */
export type TestReference = CheckName;

/** The rules of a markdown text: paragraphs that begin with a bold id. */
export function readRules(markdown: string): ProtocolRule[] {
  const lines = markdown.split('\n');
  return lines.flatMap((first, index) => {
    const [, id, begin] = /^\*\*([A-Z]+-\d+)\*\* (.*)$/.exec(first) ?? [];
    if (id === undefined || begin === undefined) return [];
    const rest = lines.slice(index + 1);
    const end = rest.indexOf('');
    const text = [begin, ...rest.slice(0, end < 0 ? undefined : end)].join(' ');
    return [{ id, text, line: index + 1 }];
  });
}

/** The tests of each rule, by its id: a heading `## PULL-3` with a list of `path › title`. */
export function readRuleTests(markdown: string): Map<string, TestReference[]> {
  const sections = markdown.split(/^## /m).slice(1);
  return new Map(
    sections.map((section) => {
      const [id = '', ...lines] = section.split('\n');
      return [id.trim(), lines.flatMap(readReference)];
    }),
  );
}

/** What markdown would read as its own is escaped there: `\_`, `\*`. */
function readReference(line: string): TestReference[] {
  if (!line.startsWith('- ')) return [];
  const [path = '', ...title] = line
    .slice(2)
    .trim()
    .replace(/\\([_*])/g, '$1')
    .split(' › ');
  return [{ path: path.replaceAll('`', ''), title: title.join(' › ') }];
}
