import { SeededRandom } from '@sync/documents/testing';

/**
 * What a device can write. `statement` is append_only, `progress` lww, `note` lww with review, `enrollment`
 * server_authoritative.
 */
export type WriteKind =
  | 'put progress'
  | 'patch progress'
  | 'delete progress'
  | 'put note'
  | 'patch note'
  | 'delete note'
  | 'append statement'
  | 'repeat statement'
  | 'withdraw'
  | 'type'
  | 'erase';

/** How a device sends its outbox. */
export interface PushStep {
  readonly do: 'push';
  readonly device: number;
  /** `split`: each mutation in a request of its own, the last one first. */
  readonly order: 'as written' | 'split';
  /** Also what has its outcome already. */
  readonly again: boolean;
  /** The answer gets lost on its way. */
  readonly lost: boolean;
}

export type DeviceStep =
  | { readonly do: 'write'; readonly device: number; readonly what: WriteKind; readonly old: boolean }
  | PushStep
  | { readonly do: 'sync'; readonly device: number }
  /** A backup of the device is made, or put back: what happened since is unknown to the device then. */
  | { readonly do: 'backup' | 'restore'; readonly device: number }
  /** The app is installed anew: another deviceId, and the outbox of before. */
  | { readonly do: 'reinstall'; readonly device: number }
  /** Somebody else is signed in on the tablet while the outbox is pushed. */
  | { readonly do: 'stranger pushes'; readonly device: number };

export type ServerStep =
  | { readonly do: 'server writes' | 'server deletes'; readonly what: 'progress' | 'note' }
  | { readonly do: 'server withdraws' | 'server enrolls' }
  /** A process stands still while the next steps happen. */
  | { readonly do: 'stop'; readonly service: 'learning' | 'authoring' | 'projector' | 'resolver' }
  | { readonly do: 'continue' };

export type Step = DeviceStep | ServerStep;

export interface Scenario {
  readonly seed: number;
  /** Per device: whether its app leaves the device's own entry out of `baseClock`. */
  readonly leavesOwnEntryOut: readonly boolean[];
  /**
   * Whether all devices of the user write documents under one clientID, as an app does that derives it from
   * the user.
   */
  readonly oneClientId: boolean;
  readonly steps: readonly Step[];
}

/** Two devices of the user, and one of a second user who takes the same course. */
export const DEVICES = 3;
const STEPS = 45;

const WRITES: readonly WriteKind[] = [
  ...(['put progress', 'patch progress', 'patch progress', 'patch progress', 'delete progress'] as const),
  ...(['put note', 'patch note', 'patch note', 'delete note'] as const),
  ...(['append statement', 'append statement', 'repeat statement', 'withdraw'] as const),
  ...(['type', 'type', 'type', 'erase'] as const),
];

/** The same for the same seed. What the processes make of it depends on their timing, too. */
export function scenarioOf(seed: number): Scenario {
  const random = new SeededRandom(seed);
  const chance = (probability: number): boolean => random.next() < probability;
  const leavesOwnEntryOut = Array.from({ length: DEVICES }, () => chance(0.2));
  const oneClientId = chance(0.3);
  const steps = Array.from({ length: STEPS }, (): Step => {
    const device = random.below(DEVICES);
    const what = random.pick(['progress', 'note'] as const);
    const roll = random.next();
    if (roll < 0.46) return { do: 'write', device, what: random.pick(WRITES), old: chance(0.15) };
    if (roll < 0.68) {
      const order = chance(0.3) ? 'split' : 'as written';
      return { do: 'push', device, order, again: chance(0.3), lost: chance(0.25) };
    }
    if (roll < 0.8) return { do: 'sync', device };
    if (roll < 0.83) return { do: 'backup', device };
    if (roll < 0.85) return { do: 'restore', device };
    if (roll < 0.865) return { do: 'reinstall', device };
    if (roll < 0.89) return { do: 'stranger pushes', device };
    if (roll < 0.92) return { do: 'server writes', what };
    if (roll < 0.93) return { do: 'server deletes', what };
    if (roll < 0.945) return { do: 'server withdraws' };
    if (roll < 0.96) return { do: 'server enrolls' };
    if (roll < 0.98) {
      return {
        do: 'stop',
        service: random.pick(['learning', 'authoring', 'projector', 'resolver'] as const),
      };
    }
    return { do: 'continue' };
  });
  return { seed, leavesOwnEntryOut, oneClientId, steps };
}

/** A step as a line of a report. */
export function describeStep(step: Step): string {
  const { do: what, ...more } = step;
  return `${what} ${JSON.stringify(more)}`;
}
