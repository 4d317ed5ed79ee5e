import type { CheckKit, CheckName, CheckResult } from '@sync/e2e-conformance';
import { OWNER_KIT } from '@sync/e2e-owner-conformance';
import type { ProtocolRule } from '../protocol-rules/read-rules.ts';
import type { Report, ReportLine } from './report.ts';

/** Of a message: the rest is where in our own code it was. */
const LINES_OF_A_MESSAGE = 12;

const isCheckOf =
  ({ folder }: CheckKit) =>
  ({ path }: CheckName): boolean =>
    path.startsWith(`${folder}/`);

/** The checks of the kit that these rules have, each once. */
export function checksOf(
  kit: CheckKit,
  rules: readonly ProtocolRule[],
  references: ReadonlyMap<string, readonly CheckName[]>,
): CheckName[] {
  const all = rules.flatMap(({ id }) => references.get(id) ?? []).filter(isCheckOf(kit));
  return [...new Map(all.map((check) => [`${check.path} › ${check.title}`, check])).values()];
}

/**
 * What the results of checks say about rules. None is left out: a rule holds, is broken, was not checked
 * here, or is one that nothing outside of a server can check.
 * @param references of docs/protocol-tests.md, by the rule’s id
 */
export function judgeRules(
  kit: CheckKit,
  rules: readonly ProtocolRule[],
  references: ReadonlyMap<string, readonly CheckName[]>,
  results: readonly CheckResult[],
): Report {
  const lines = rules.map((rule) => judge(kit, rule, references.get(rule.id) ?? [], results));
  const prefixes = [...new Set(lines.map(prefixOf))];
  const count = (verdict: keyof typeof VERDICTS): number =>
    lines.filter((line) => line.verdict === VERDICTS[verdict]).length;
  const checks = (status: CheckResult['status']): number =>
    results.filter((result) => result.status === status).length;
  return {
    title: `Sync protocol, version 1: what the ${kit.subject} keeps`,
    summary: [
      `${lines.length} rules: ${count('holds')} hold, ${count('partly')} hold as far as checked, ` +
        `${count('broken')} BROKEN, ${count('unchecked')} not checked here, ` +
        `${count('owners')} of owning services, ${count('inside')} without a black-box check.`,
      `${results.length} checks: ${checks('passed')} passed, ${checks('failed')} failed, ` +
        `${checks('not checked')} not checked here.`,
    ],
    groups: prefixes.map((name) => ({ name, lines: lines.filter((line) => prefixOf(line) === name) })),
  };
}

const prefixOf = ({ id }: ReportLine): string => id.split('-')[0] ?? '';

const VERDICTS = {
  holds: 'holds',
  partly: 'holds as far as it was checked',
  broken: 'BROKEN',
  unchecked: 'not checked here',
  owners: 'of owning services',
  inside: 'no black-box check',
} as const;

function judge(
  kit: CheckKit,
  { id, text }: ProtocolRule,
  references: readonly CheckName[],
  results: readonly CheckResult[],
): ReportLine {
  const line = { id, title: firstSentence(text) };
  const wanted = references.filter(isCheckOf(kit));
  if (wanted.length === 0 && references.some(isCheckOf(OWNER_KIT))) {
    return { ...line, kind: 'skipped', verdict: VERDICTS.owners, why: '--owner FILE checks them' };
  }
  if (wanted.length === 0) {
    const why = `${references.length} tests of this project look inside`;
    return { ...line, kind: 'skipped', verdict: VERDICTS.inside, why };
  }
  const own = wanted.flatMap((check) => {
    const found = results.filter(({ path, title }) => path === check.path && title === check.title);
    return found.length > 0 ? found : [{ ...check, ran: check.title, ...NO_RESULT }];
  });
  const failed = own.filter(({ status }) => status === 'failed');
  if (failed.length > 0) {
    const told = failed.map(({ ran, why }) => `${ran}\n${shortened(why)}`);
    const why = `${failed.length} of ${own.length} checks\n${told.join('\n')}`;
    return { ...line, kind: 'failed', verdict: VERDICTS.broken, why };
  }
  const needs = [...new Set(own.flatMap(({ status, why }) => (status === 'not checked' ? [why] : [])))];
  const why = needs.length === 0 ? '' : `needs ${needs.join('; ')}`;
  const passed = own.filter(({ status }) => status === 'passed').length;
  if (passed === 0) return { ...line, kind: 'skipped', verdict: VERDICTS.unchecked, why };
  if (needs.length === 0) return { ...line, kind: 'passed', verdict: VERDICTS.holds, why };
  return {
    ...line,
    kind: 'passed',
    verdict: VERDICTS.partly,
    why: `${passed} of ${own.length} checks, the rest ${why}`,
  };
}

const NO_RESULT = { status: 'failed', why: 'it has no result' } as const;

/** Without links: they lead from docs/protocol.md. */
function firstSentence(text: string): string {
  const plain = text.replace(/\[([^\]]+)\]\([^)]*\)/g, '$1');
  return /^.*?\.(?= |$)/.exec(plain)?.[0] ?? plain;
}

function shortened(message: string): string {
  const lines = message.split('\n').filter((line) => !/^\s+at /.test(line));
  return lines.slice(0, LINES_OF_A_MESSAGE).join('\n').trim();
}
