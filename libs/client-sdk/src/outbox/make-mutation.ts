import type { LocalMutation } from '@sync/protocol';
import { LIMITS } from '@sync/protocol/device';
import type { VectorClock } from '@sync/vector-clock';
import type { EntityData } from './show-entity.ts';

/** What the app wants, before the device knows its number. */
export interface Draft {
  readonly mutationId: string;
  readonly scope: string;
  readonly entityType: string;
  readonly entityId: string;
  readonly op: LocalMutation['op'];
  readonly data?: EntityData;
  readonly update?: string;
  readonly dependsOn?: readonly string[];
  /** By the device's clock, which is sent as it is (POLICY-4). */
  readonly occurredAt: string;
  readonly schemaVersion: number;
}

export interface Numbers {
  readonly sequence: number;
  readonly baseClock: VectorClock;
}

export type DraftFault = 'data_too_large' | 'update_too_large' | 'not_json' | 'too_many_dependencies';

/**
 * What the server would refuse whatever stands in it, so that it is refused before it is stored.
 * @returns null when there is nothing wrong
 */
export function faultOf({ data, update, dependsOn }: Draft): DraftFault | null {
  if ((update?.length ?? 0) > LIMITS.updateLength) return 'update_too_large';
  if ((dependsOn?.length ?? 0) > LIMITS.dependsOnPerMutation) return 'too_many_dependencies';
  if (data === undefined) return null;
  try {
    const text = JSON.stringify(data);
    return new TextEncoder().encode(text).length > LIMITS.mutationBytes ? 'data_too_large' : null;
  } catch {
    return 'not_json';
  }
}

/** The mutation as it is stored and sent, without its tag. What is undefined in it is left out. */
export function makeMutation(draft: Draft, { sequence, baseClock }: Numbers): LocalMutation {
  const { dependsOn, data, update, ...rest } = draft;
  return {
    ...rest,
    sequence,
    baseClock,
    // As JSON has it, so that what is shown, stored, tagged and sent is one and the same.
    ...(data === undefined ? {} : { data: JSON.parse(JSON.stringify(data)) as Record<string, unknown> }),
    ...(update === undefined ? {} : { update }),
    ...(dependsOn && dependsOn.length > 0 ? { dependsOn: [...dependsOn] } : {}),
  };
}
