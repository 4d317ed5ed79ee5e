/** What a stretch of work costs: CPU by process, WAL, and with `--profile` statements. */
import { untilDelivered } from './deliveries.ts';
import type { Observer } from './observer.ts';
import { type CpuByProcess, type CpuSources, cpuBetween, postgresOf, readCpu } from './process-cpu.ts';
import type { StatementCost, StatementProfile } from './statement-profile.ts';

/** What was used between a beginning and its end. */
export interface Cost {
  /** null where it cannot be read of all processes: not on Linux, or with servers that are not ours. */
  readonly cpu: CpuByProcess | null;
  readonly walBytes: number;
  readonly tookMs: number;
  /** How long, from the end of the work, the last of it needed into the read model. */
  readonly projectedAfterMs: number;
  /** null without `--profile`. */
  readonly statements: readonly StatementCost[] | null;
}

/** How the floor server is called among the processes. */
export const FLOOR = 'floor';

export interface CostSources {
  readonly observer: Observer;
  /** Asked each time: processes are restarted. Null where not all CPU can be read. */
  readonly cpu: () => CpuSources | null;
  readonly profile: StatementProfile | null;
}

/** Reads costs of the platform, or of its floor; what the other does meanwhile is left out of the CPU. */
export class CostMeter {
  readonly #sources: CostSources;
  readonly #of: 'platform' | 'underLoad' | typeof FLOOR;

  /**
   * @param of `underLoad`: the platform while it has other work, too, so that nobody waits until it has none
   */
  constructor(sources: CostSources, of: 'platform' | 'underLoad' | typeof FLOOR) {
    this.#sources = sources;
    this.#of = of;
  }

  /** Begins when all work before has come to its end everywhere. @returns the end, called once */
  async begin(): Promise<() => Promise<Cost>> {
    await this.#settle();
    return this.beginNow();
  }

  /** Begins although there may be work from before: that is part of the cost. */
  async beginNow(): Promise<() => Promise<Cost>> {
    const { observer, cpu: sourcesNow, profile } = this.#sources;
    const sources = sourcesNow();
    if (this.#of !== FLOOR) await profile?.reset();
    const before = sources && (await readCpu(sources));
    const walBefore = await observer.walBytes();
    const startedMs = performance.now();
    return async () => {
      const projectedAfterMs = await this.#settle();
      const tookMs = performance.now() - startedMs;
      const after = sources && (await readCpu(sources));
      const walBytes = (await observer.walBytes()) - walBefore;
      const statements = (this.#of !== FLOOR && (await profile?.read())) || null;
      const cpu = before && after && this.#own(cpuBetween(before, after));
      return { cpu, walBytes, tookMs, projectedAfterMs, statements };
    };
  }

  /** @returns how long the read model needed */
  async #settle(): Promise<number> {
    if (this.#of !== 'platform') return 0;
    const { observer } = this.#sources;
    const projectedAfterMs = await untilDelivered(observer, ['DOMAIN_EVENTS', 'DELTAS']);
    await untilDelivered(observer, ['SYNC_EVENTS']);
    return projectedAfterMs;
  }

  #own(cpu: CpuByProcess): CpuByProcess {
    const isFloor = (name: string): boolean => name === FLOOR || name === postgresOf(FLOOR);
    const wantsFloor = this.#of === FLOOR;
    return Object.fromEntries(Object.entries(cpu).filter(([name]) => isFloor(name) === wantsFloor));
  }
}
