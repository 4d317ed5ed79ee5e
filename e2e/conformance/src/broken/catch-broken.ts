import {
  type CheckKit,
  type CheckName,
  type CheckResult,
  SERVER_KIT,
  type Target,
  runChecks,
} from '../run-checks.ts';
import type { Broken, BrokenServer } from './broken-server.ts';
import { DistortingProxy } from './distorting-proxy.ts';

/** What became of one that is broken on purpose. */
export interface Catch {
  readonly broken: Broken;
  /** `not tried`: the check needs something of the platform that nobody named. */
  readonly verdict: 'caught' | 'missed' | 'not tried';
  /** What the check said against it, why it has proven nothing, or what it needs. */
  readonly why: string;
}

/** What was seen of checks that ran against something broken, or against the same without a fault. */
export interface Seen {
  readonly results: readonly CheckResult[];
  /** How often the fault showed. */
  readonly distorted: number;
  /** What went wrong in the fault’s own program: a check that failed meanwhile has proven nothing. */
  readonly errors: readonly unknown[];
}

/** How the broken ones of a kit are checked. */
export interface Breaking<B extends Broken> {
  readonly kit: CheckKit;
  /** Runs the checks where this one is broken; null: where nothing is. */
  readonly check: (broken: B | null, checks: readonly CheckName[]) => Promise<Seen>;
}

/** The check that has to catch it, as its kit names its checks. */
export function checkOf({ folder }: CheckKit, { check }: Broken): CheckName {
  const [file = '', ...title] = check.split(' › ');
  return { path: `${folder}/${file}`, title: title.join(' › ') };
}

/** Puts each broken server before the real one. */
export function breakingServer(target: Target): Breaking<BrokenServer> {
  return {
    kit: SERVER_KIT,
    async check(broken, checks) {
      const proxy = await DistortingProxy.start(target.gateway, broken?.breaks());
      try {
        const results = await runChecks(SERVER_KIT, { ...target, gateway: proxy.url }, checks);
        return { results, distorted: proxy.distorted, errors: [...proxy.errors] };
      } finally {
        await proxy.stop();
      }
    },
  };
}

/** Not a word about the server: the check did not get as far as to judge it. */
const NO_VERDICT = /fetch failed|ECONN|EPIPE|socket hang up|Exceeded timeout|it did not run/;

/**
 * Runs against each broken one the one check that must catch it.
 * @param atOnce how many at the same time; each is a Jest of its own
 * @param told is called as soon as there is an answer about one
 * @throws Error when a check already fails without any fault: then no failure proves anything
 */
export async function catchAll<B extends Broken>(
  breaking: Breaking<B>,
  all: readonly B[],
  atOnce: number,
  told: (caught: Catch) => void = () => undefined,
): Promise<Catch[]> {
  const needs = await expectAllPass(breaking, all);
  const waiting = all.entries();
  const catches: Catch[] = [];
  const work = async (): Promise<void> => {
    for (const [place, broken] of waiting) {
      const need = needs.get(broken.check);
      const caught: Catch =
        need === undefined ? await catchOne(breaking, broken) : { broken, verdict: 'not tried', why: need };
      catches[place] = caught;
      told(caught);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return catches;
}

/** @returns what those checks need that cannot be made here */
async function expectAllPass<B extends Broken>(
  { kit, check }: Breaking<B>,
  all: readonly B[],
): Promise<ReadonlyMap<Broken['check'], string>> {
  const names = new Map(all.map((broken) => [broken.check, checkOf(kit, broken)]));
  const { results } = await check(null, [...names.values()]);
  const failed = results.filter(({ status }) => status === 'failed');
  if (failed.length > 0) {
    const list = failed.map(({ path, ran, why }) => `${path} › ${ran}: ${why}`);
    throw new Error(`these checks fail without any fault, so they can catch none:\n${list.join('\n')}`);
  }
  const needs = new Map<string, string>();
  for (const [name, { path, title }] of names) {
    const own = results.filter((result) => result.path === path && result.title === title);
    const missing = own.find(({ status }) => status === 'not checked');
    if (missing) needs.set(name, `needs ${missing.why}`);
  }
  return needs;
}

async function catchOne<B extends Broken>({ kit, check }: Breaking<B>, broken: B): Promise<Catch> {
  const { results, distorted, errors } = await check(broken, [checkOf(kit, broken)]);
  const failed = results.filter(({ status }) => status === 'failed');
  const judged = failed.find(({ why }) => !NO_VERDICT.test(why));
  const missed = (why: string): Catch => ({ broken, verdict: 'missed', why });
  if (errors.length > 0) return missed(`the fault’s own program failed: ${String(errors[0])}`);
  if (distorted === 0) return missed('the fault was never shown to the check');
  if (judged) return { broken, verdict: 'caught', why: judged.why };
  return missed(failed[0]?.why ?? 'the check passed');
}
