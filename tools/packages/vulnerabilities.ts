import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** A known vulnerability of an installed package. */
export interface Vulnerability {
  readonly name: string;
  /** `info` to `critical`, as the advisory says. */
  readonly severity: string;
  /** Versions of the package that have it. */
  readonly range: string;
}

/**
 * What came of asking. `unreachable` is no answer: nobody knows then whether there are vulnerabilities.
 */
export type Answer =
  | { readonly kind: 'answered'; readonly vulnerabilities: readonly Vulnerability[] }
  | { readonly kind: 'unreachable'; readonly why: string };

interface AuditReport {
  readonly vulnerabilities?: Readonly<Record<string, Vulnerability>>;
  readonly message?: string;
  readonly error?: { readonly summary?: string };
}

const run = promisify(execFile);
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
const TIMEOUT_MS = 120_000;

/**
 * Asks the registry for known vulnerabilities of everything in the lock file, by `npm audit`.
 * @param root with the `package-lock.json`
 * @param registry where to ask; as npm is configured when absent
 */
export async function findVulnerabilities(root: string, registry?: string): Promise<Answer> {
  const chosen = registry === undefined ? [] : ['--registry', registry];
  const args = ['audit', '--json', '--package-lock-only', '--fetch-retries=1', ...chosen];
  const options = { cwd: root, maxBuffer: MAX_OUTPUT_BYTES, timeout: TIMEOUT_MS };
  // npm ends with 1 both when it has found something and when it could not ask.
  const output = await run('npm', args, options).catch((error: unknown) => error as { stdout?: string });
  return readReport(output.stdout ?? '');
}

/** @param text what `npm audit --json` printed */
export function readReport(text: string): Answer {
  const report = parse(text);
  if (report?.vulnerabilities) {
    const vulnerabilities = Object.values(report.vulnerabilities);
    return {
      kind: 'answered',
      vulnerabilities: vulnerabilities.map(({ name, severity, range }) => ({ name, severity, range })),
    };
  }
  const said = report?.message ?? report?.error?.summary ?? '';
  return { kind: 'unreachable', why: said === '' ? 'npm audit gave no report' : said };
}

function parse(text: string): AuditReport | null {
  try {
    return JSON.parse(text) as AuditReport;
  } catch {
    return null;
  }
}
