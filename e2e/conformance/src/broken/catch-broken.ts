import { type CheckResult, type Target, runChecks } from '../run-checks.ts';
import type { BrokenServer } from './broken-server.ts';
import { checkOf } from './broken-servers.ts';
import { DistortingProxy, type Distortion } from './distorting-proxy.ts';

/** What became of a broken server. */
export interface Catch {
  readonly server: BrokenServer;
  readonly isCaught: boolean;
  /** What the check said against it, or why it has proven nothing. */
  readonly why: string;
}

/** Not a word about the server: the check did not get as far as to judge it. */
const NO_VERDICT = /fetch failed|ECONN|EPIPE|socket hang up|Exceeded timeout|it did not run/;

/**
 * Puts each broken server before the real one, and runs the one check that must catch it.
 * @param atOnce how many at the same time; each is a Jest of its own
 * @param told is called as soon as there is an answer about one
 * @throws Error when a check already fails through a proxy that changes nothing: then no failure proves
 *   anything
 */
export async function catchAll(
  target: Target,
  servers: readonly BrokenServer[],
  atOnce: number,
  told: (caught: Catch) => void = () => undefined,
): Promise<Catch[]> {
  await expectAllPass(target, servers);
  const waiting = servers.entries();
  const catches: Catch[] = [];
  const work = async (): Promise<void> => {
    for (const [place, server] of waiting) {
      const caught = await catchOne(target, server);
      catches[place] = caught;
      told(caught);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return catches;
}

async function expectAllPass(target: Target, servers: readonly BrokenServer[]): Promise<void> {
  const names = new Map(servers.map((server) => [server.check, checkOf(server)]));
  const { results } = await through(target, (_asked, forward) => forward(), [...names.values()]);
  const failed = results.filter(({ status }) => status !== 'passed');
  if (failed.length === 0) return;
  const list = failed.map(({ path, ran, status, why }) => `${path} › ${ran}: ${status}: ${why}`);
  throw new Error(`these checks fail without any fault, so they can catch none:\n${list.join('\n')}`);
}

async function catchOne(target: Target, server: BrokenServer): Promise<Catch> {
  const { results, distorted, errors } = await through(target, server.breaks(), [checkOf(server)]);
  const failed = results.filter(({ status }) => status === 'failed');
  const judged = failed.find(({ why }) => !NO_VERDICT.test(why));
  const caught = (isCaught: boolean, why: string): Catch => ({ server, isCaught, why });
  if (errors.length > 0) return caught(false, `the proxy itself failed: ${String(errors[0])}`);
  if (distorted === 0) return caught(false, 'the fault was never shown to the check');
  if (judged) return caught(true, judged.why);
  return caught(false, failed[0]?.why ?? 'the check passed');
}

interface Seen {
  readonly results: readonly CheckResult[];
  readonly distorted: number;
  readonly errors: readonly unknown[];
}

async function through(
  target: Target,
  distortion: Distortion,
  checks: readonly ReturnType<typeof checkOf>[],
): Promise<Seen> {
  const proxy = await DistortingProxy.start(target.gateway, distortion);
  try {
    const results = await runChecks({ ...target, gateway: proxy.url }, checks);
    return { results, distorted: proxy.distorted, errors: [...proxy.errors] };
  } finally {
    await proxy.stop();
  }
}
