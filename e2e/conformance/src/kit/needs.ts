import type { StackLine } from '@sync/e2e-device';

/**
 * What a check needs of the platform under test, beyond what there is. A check says so by asking for it, so
 * no list of such checks can be wrong; whoever reads the results knows it by its text (`needOf`).
 */
const OWN = 'a platform of its own (no --gateway)';
const NEEDS: Readonly<Record<string, string>> = {
  learning: '--learning URL, where an owning service is told to change what it owns',
  authoring: '--authoring URL, where the owning service of documents is told to change them',
  analytics: `the events that the server tells others: ${OWN}`,
  opsUrls: `the metrics of the server’s processes: ${OWN}`,
  logDir: `the logs of the server’s processes: ${OWN}`,
  pids: `the server’s processes: ${OWN}`,
  databases: `the server’s databases: ${OWN}`,
  postgres: `the server’s databases: ${OWN}`,
  nats: `the server’s NATS: ${OWN}`,
  nkeySeeds: `the server’s NATS: ${OWN}`,
};

const MARK = 'not checked here: needs ';

/** The platform as it was handed over; to ask for what it does not have ends the check. */
export function withNeeds(line: Partial<StackLine>): StackLine {
  return new Proxy(line, {
    get(known, name) {
      const value: unknown = Reflect.get(known, name);
      const need = NEEDS[String(name)];
      if (value !== undefined || need === undefined) return value;
      throw needed(need);
    },
  }) as StackLine;
}

/** What a check throws that cannot be made here. @param what of the platform or the service it needs */
export function needed(what: string): Error {
  return new Error(`${MARK}${what}`);
}

/** @returns what a check that failed with this message needs, or null where it failed by itself */
export function needOf(message: string): string | null {
  return new RegExp(`${MARK}(.*)`).exec(message)?.[1] ?? null;
}
