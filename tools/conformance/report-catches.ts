import type { Catch, CheckKit } from '@sync/e2e-conformance';
import type { Report, ReportLine } from './report.ts';

/** What was caught of a kit’s broken ones. */
export interface KitCatches {
  readonly kit: CheckKit;
  readonly catches: readonly Catch[];
}

/** Which one that is broken on purpose was caught by which rule. */
export function reportCatches(all: readonly KitCatches[]): Report {
  return {
    title: 'What is broken on purpose',
    summary: all.map(summaryOf),
    groups: all.map(({ kit, catches }) => {
      return { name: `a broken ${kit.subject}`, lines: catches.map((one) => lineOf(kit, one)) };
    }),
  };
}

function lineOf({ subject }: CheckKit, { broken, verdict, why }: Catch): ReportLine {
  const line = { id: broken.rule, title: broken.fault };
  const who = `the ${subject} that ${broken.fault}`;
  // That it failed is what was wanted; how is nobody’s concern.
  if (verdict === 'caught') return { ...line, kind: 'passed', verdict: 'catches', why: who };
  if (verdict === 'not tried')
    return { ...line, kind: 'skipped', verdict: 'not tried here', why: `${why}: ${who}` };
  const missed = `${who}\n${broken.check}\n${why}`;
  return { ...line, kind: 'failed', verdict: 'DOES NOT CATCH', why: missed };
}

function summaryOf({ kit, catches }: KitCatches): string {
  const count = (wanted: Catch['verdict']): number =>
    catches.filter(({ verdict }) => verdict === wanted).length;
  const rules = new Set(
    catches.flatMap(({ broken, verdict }) => (verdict === 'caught' ? [broken.rule] : [])),
  );
  return (
    `${catches.length} broken ${kit.subject}s: ${count('caught')} caught, by ${rules.size} rules; ` +
    `${count('missed')} NOT CAUGHT, ${count('not tried')} not tried here.`
  );
}
