import type { Catch } from '@sync/e2e-conformance';
import type { Report, ReportLine } from './report.ts';

/** Which broken server was caught by which rule. */
export function reportCatches(catches: readonly Catch[]): Report {
  const lines = catches.map(({ server, verdict, why }): ReportLine => {
    const line = { id: server.rule, title: server.fault };
    // That it failed is what was wanted; how is nobody’s concern.
    if (verdict === 'caught')
      return { ...line, kind: 'passed', verdict: 'catches', why: `a server that ${server.fault}` };
    if (verdict === 'not tried')
      return {
        ...line,
        kind: 'skipped',
        verdict: 'not tried here',
        why: `${why}: a server that ${server.fault}`,
      };
    const missed = `a server that ${server.fault}\n${server.check}\n${why}`;
    return { ...line, kind: 'failed', verdict: 'DOES NOT CATCH', why: missed };
  });
  const count = (wanted: Catch['verdict']): number =>
    catches.filter(({ verdict }) => verdict === wanted).length;
  const rules = new Set(
    catches.flatMap(({ server, verdict }) => (verdict === 'caught' ? [server.rule] : [])),
  );
  return {
    title: 'Servers that are broken on purpose',
    summary: [
      `${lines.length} broken servers: ${count('caught')} caught, by ${rules.size} rules; ` +
        `${count('missed')} NOT CAUGHT, ${count('not tried')} not tried here.`,
    ],
    groups: [{ name: 'fault and rule', lines }],
  };
}
