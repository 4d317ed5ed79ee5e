import { parseArgs } from 'node:util';

export const USAGE = `npm run conformance              checks a platform of its own, which it starts and stops
npm run conformance -- --gateway URL --identity URL
                                 checks this one; devices are bound by the identity service
  -- --learning URL --authoring URL
                                 … and makes the checks for which owning services have to change something
npm run conformance -- --owner FILE
                                 checks an owning service, in any language, over NATS; FILE says which
  -- --only RULE,RULE            only these rules: PULL-3, or PULL for all of that name
  -- --report md=FILE            also writes the report as Markdown
  -- --report junit=FILE         … or as JUnit XML; --report may come twice
  -- --broken                    checks the checks: what is broken on purpose has to be caught;
                                 servers only where --gateway names one
  -- --short                     … only a few of them
Ends with 0 when no rule is broken, with 1 when one is, with 2 when nothing could be checked.
docs/guides/check-your-server.md says what a server needs, check-your-service.md what FILE holds.`;

export interface ReportFile {
  readonly format: 'md' | 'junit';
  readonly path: string;
}

export interface CommandLine {
  /** Of the server to check; null: the command starts its own. */
  readonly urls:
    | (Readonly<Record<'gateway' | 'identity', string>> &
        Readonly<Partial<Record<'learning' | 'authoring', string>>>)
    | null;
  /** The file that says which owning service to check. */
  readonly owner: string | null;
  /** Ids of rules, or what they begin with; empty: all. */
  readonly only: readonly string[];
  readonly reports: readonly ReportFile[];
  readonly broken: boolean;
  readonly short: boolean;
  readonly help: boolean;
}

const URLS = ['gateway', 'identity', 'learning', 'authoring'] as const;

/** @throws Error that says which argument is wrong */
export function readCommandLine(args: readonly string[]): CommandLine {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...{ gateway: text, identity: text, learning: text, authoring: text },
      owner: text,
      only: { type: 'string', default: '' },
      report: { type: 'string', multiple: true, default: [] },
      broken: { type: 'boolean', default: false },
      short: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  const urls = URLS.flatMap((name) => {
    const url = values[name];
    return url === undefined ? [] : [[name, origin(name, url)] as const];
  });
  if (urls.length > 0 && (values.gateway === undefined || values.identity === undefined))
    throw new Error('--gateway and --identity belong together');
  if (values.owner !== undefined && (urls.length > 0 || values.broken))
    throw new Error('--owner stands without --gateway and --broken');
  return {
    owner: values.owner ?? null,
    urls: urls.length === 0 ? null : (Object.fromEntries(urls) as NonNullable<CommandLine['urls']>),
    only: values.only.split(',').filter((id) => id !== ''),
    reports: values.report.map(readReport),
    broken: values.broken,
    short: values.short,
    help: values.help,
  };
}

/** Devices sign the path, and the protocol says which: there is none before it. */
function origin(name: string, text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || !/^https?:$/.test(url.protocol)) throw new Error(`--${name} ${text} is not a URL`);
  if (url.pathname !== '/' || url.search !== '')
    throw new Error(`--${name} ${text} has a path: leave it out`);
  return url.origin;
}

function readReport(text: string): ReportFile {
  const [, format, path] = /^(md|junit)=(.+)$/.exec(text) ?? [];
  if (format === undefined || path === undefined)
    throw new Error(`--report ${text} is neither md=FILE nor junit=FILE`);
  return { format: format as ReportFile['format'], path };
}
