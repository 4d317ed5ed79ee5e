import { SeededRandom } from '@sync/documents/testing';
import type { TestOwner } from '../test-owner.ts';

/** A patch of one field of one entity, both by their place. */
export interface Write {
  readonly entity: number;
  readonly field: number;
  /** Written so long ago that every change of the server is later. */
  readonly old: boolean;
}

export interface DeviceRound {
  readonly writes: readonly Write[];
  /**
   * How many of the mutations that have their outcome it sends once more, the latest; a device that loses its
   * answers does.
   */
  readonly again: number;
  /** How often it sends its push at the same time. */
  readonly copies: number;
  /** Whether the dispatcher works on it meanwhile. */
  readonly dispatched: boolean;
}

/** What happens at the same time. */
export interface Round {
  readonly owner: TestOwner['mode'];
  readonly projectsAtOnce: boolean;
  /** A change of the owner's own. */
  readonly change: Omit<Write, 'old'> | null;
  /** One per device. */
  readonly devices: readonly DeviceRound[];
  /** Whether the read model has caught up before the next round. */
  readonly projectsAfterwards: boolean;
}

export const ENTITIES = 2;
export const FIELDS = 2;
export const DEVICES = 2;
const ROUNDS = 14;
/** In all rounds together fewer than the open mutations that the rig's ledger takes from one device (50). */
const MAX_WRITES = 3;
/** Half of the owner's rounds are good ones: with fewer nearly everything ends only afterwards. */
const OWNER_MODES = ['answers', 'answers', 'silent', 'deaf'] as const;

export const NO_STEPS: DeviceRound = { writes: [], again: 0, copies: 1, dispatched: false };
/** The time after the last round of a scenario. */
export const QUIET: Round = {
  owner: 'answers',
  projectsAtOnce: true,
  change: null,
  devices: [],
  projectsAfterwards: false,
};

/** The rounds of a run: the same for the same seed, so that what one run has shown can be looked at again. */
export function scenarioOf(seed: number): Round[] {
  const random = new SeededRandom(seed);
  return Array.from({ length: ROUNDS }, () => roundOf(random));
}

function roundOf(random: SeededRandom): Round {
  const chance = (probability: number): boolean => random.next() < probability;
  const place = (): Omit<Write, 'old'> => ({ entity: random.below(ENTITIES), field: random.below(FIELDS) });
  return {
    owner: random.pick(OWNER_MODES),
    projectsAtOnce: chance(0.7),
    change: chance(0.5) ? place() : null,
    devices: Array.from({ length: DEVICES }, () => ({
      writes: Array.from({ length: random.below(MAX_WRITES + 1) }, () => ({ ...place(), old: chance(0.2) })),
      again: chance(0.5) ? ROUNDS * MAX_WRITES : random.below(8),
      copies: 1 + random.below(2),
      dispatched: chance(0.4),
    })),
    projectsAfterwards: chance(0.5),
  };
}
