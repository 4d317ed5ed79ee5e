/** One line of a report: a rule, or a server that is broken on purpose. */
export interface ReportLine {
  readonly id: string;
  readonly title: string;
  readonly kind: 'passed' | 'failed' | 'skipped';
  /** The verdict in words: `holds`, `not checked here`. */
  readonly verdict: string;
  /** Why, for people: may have several lines; empty where there is nothing to say. */
  readonly why: string;
}

export interface ReportGroup {
  readonly name: string;
  readonly lines: readonly ReportLine[];
}

/** What all formats show. */
export interface Report {
  readonly title: string;
  /** The numbers, a sentence each. */
  readonly summary: readonly string[];
  readonly groups: readonly ReportGroup[];
}

const MARKS = { passed: '✓', failed: '✗', skipped: '–' } as const;

const firstLine = (text: string): string => text.split('\n')[0] ?? '';

/** For a terminal: a line each, and all that is known of what failed. */
export function asText({ title, summary, groups }: Report): string {
  const width = Math.max(...groups.flatMap(({ lines }) => lines.map(({ id }) => id.length)));
  const told = groups.flatMap(({ name, lines }) => [
    '',
    name,
    ...lines.flatMap(({ id, kind, verdict, why }) => {
      const [first = '', ...rest] = kind === 'failed' ? why.split('\n') : [firstLine(why)];
      const line = `  ${MARKS[kind]} ${id.padEnd(width)}  ${verdict}${first === '' ? '' : `: ${first}`}`;
      return [line, ...rest.map((more) => `${' '.repeat(width + 6)}${more}`)];
    }),
  ]);
  return `${[title, ...told, '', ...summary].join('\n')}\n`;
}

/** A table a group; what failed is told whole below. */
export function asMarkdown({ title, summary, groups }: Report): string {
  const cell = (text: string): string => firstLine(text).replaceAll('|', '\\|').replaceAll('<', '&lt;');
  const tables = groups.flatMap(({ name, lines }) => [
    `## ${name}`,
    '',
    '|   |   | says | verdict | why |',
    '| - | - | ---- | ------- | --- |',
    ...lines.map(({ id, kind, verdict, title: says, why }) => {
      return `| ${MARKS[kind]} | ${id} | ${cell(says)} | ${verdict} | ${cell(why)} |`;
    }),
    '',
  ]);
  const failed = groups.flatMap(({ lines }) => lines.filter(({ kind }) => kind === 'failed'));
  const details = failed.flatMap(({ id, title: what, why }) => {
    return [`### ${id}`, '', what, '', '````', why.replaceAll('````', '``` `'), '````', ''];
  });
  const list = summary.map((sentence) => `- ${sentence}`);
  const parts = [`# ${title}`, '', ...list, '', ...tables];
  return [...parts, ...(failed.length === 0 ? [] : ['## What failed', '', ...details])].join('\n');
}

/** For CI: a suite a group, a test case a line; what was not checked is skipped, with its reason. */
export function asJunit({ title, groups }: Report): string {
  const suites = groups.map(({ name, lines }) => {
    const cases = lines.map((line) => {
      const open = `    <testcase classname=${attribute(name)} name=${attribute(`${line.id} ${line.title}`)}`;
      const message = `message=${attribute(`${line.verdict}: ${firstLine(line.why)}`)}`;
      if (line.kind === 'passed') return `${open}/>`;
      const inside =
        line.kind === 'failed'
          ? `<failure ${message}>${escaped(line.why)}</failure>`
          : `<skipped ${message}/>`;
      return `${open}>${inside}</testcase>`;
    });
    return `  <testsuite name=${attribute(name)} ${countsOf(lines)}>\n${cases.join('\n')}\n  </testsuite>`;
  });
  const all = countsOf(groups.flatMap(({ lines }) => lines));
  const root = `<testsuites name=${attribute(title)} ${all}>\n${suites.join('\n')}\n</testsuites>`;
  return `<?xml version="1.0" encoding="UTF-8"?>\n${root}\n`;
}

function countsOf(lines: readonly ReportLine[]): string {
  const count = (wanted: ReportLine['kind']): number => lines.filter(({ kind }) => kind === wanted).length;
  return `tests="${lines.length}" failures="${count('failed')}" skipped="${count('skipped')}"`;
}

const attribute = (text: string): string => `"${escaped(text).replaceAll('"', '&quot;')}"`;

/** What XML 1.0 cannot hold is left out: a server may have answered anything. */
function escaped(text: string): string {
  const kept = text.toWellFormed().replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '');
  return kept.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
