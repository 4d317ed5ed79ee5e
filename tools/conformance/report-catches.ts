import type { Catch } from '@sync/e2e-conformance';
import type { Report, ReportLine } from './report.ts';

/** Which broken server was caught by which rule. */
export function reportCatches(catches: readonly Catch[]): Report {
  const lines = catches.map(({ server, isCaught, why }): ReportLine => {
    const line = { id: server.rule, title: server.fault };
    // That it failed is what was wanted; how is nobody’s concern.
    if (isCaught)
      return { ...line, kind: 'passed', verdict: 'catches', why: `a server that ${server.fault}` };
    const missed = `a server that ${server.fault}\n${server.check}\n${why}`;
    return { ...line, kind: 'failed', verdict: 'DOES NOT CATCH', why: missed };
  });
  const caught = lines.filter(({ kind }) => kind === 'passed').length;
  const rules = new Set(lines.map(({ id }) => id));
  return {
    title: 'Servers that are broken on purpose',
    summary: [
      `${lines.length} broken servers: ${caught} caught, ${lines.length - caught} not; ${rules.size} rules.`,
    ],
    groups: [{ name: 'fault and rule', lines }],
  };
}
