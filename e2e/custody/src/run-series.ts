import type { StackLine } from '@sync/e2e-device';
import { checkRun } from './check-run.ts';
import { type PlayedRun, playRun } from './play-run.ts';
import { scenarioOf } from './scenario.ts';

/** What a run came to; `violations` is empty when every promise was kept. */
export interface SeriesResult {
  readonly seed: number;
  readonly violations: readonly string[];
  /** How often each status ended a mutation. */
  readonly statuses: ReadonlyMap<string, number>;
  /** Steps and answers, for a person who looks into it. */
  readonly report: string;
}

/**
 * Plays the scenarios of the seeds, several side by side.
 * @param out is called with each result as it comes
 */
export async function runSeries(
  stack: StackLine,
  seeds: readonly number[],
  sideBySide: number,
  out: (result: SeriesResult) => void,
): Promise<SeriesResult[]> {
  const waiting = [...seeds];
  const results: SeriesResult[] = [];
  const worker = async (): Promise<void> => {
    for (let seed = waiting.shift(); seed !== undefined; seed = waiting.shift()) {
      const result = resultOf(await playRun(stack, scenarioOf(seed)));
      results.push(result);
      out(result);
    }
  };
  await Promise.all(Array.from({ length: sideBySide }, worker));
  return results;
}

function resultOf(run: PlayedRun): SeriesResult {
  const { log, scenario } = run;
  const violations = checkRun(run);
  const statuses = new Map<string, number>();
  for (const mutationId of log.writes.keys()) {
    const { status = 'without an end', code } = log.endOf(mutationId) ?? {};
    const name = code === undefined ? status : `${status} ${code}`;
    statuses.set(name, (statuses.get(name) ?? 0) + 1);
  }
  const { seed, leavesOwnEntryOut, oneClientId } = scenario;
  const head = `seed ${seed}: npm run custody -- --runs 1 --seed ${seed}`;
  const apps = `leaves its own entry out: ${leavesOwnEntryOut.join()}; one clientID: ${oneClientId}`;
  return { seed, violations, statuses, report: [head, ...violations, apps, ...log.lines].join('\n  ') };
}
