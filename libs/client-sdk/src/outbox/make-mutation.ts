import { readJson } from '@sync/domain';
import type { LocalMutation } from '@sync/protocol';
import {
  ENTITY_ID_PATTERN,
  LIMITS,
  SCOPE_PATTERN,
  findUnstorable,
  isNestedDeeper,
} from '@sync/protocol/device';
import type { VectorClock } from '@sync/vector-clock';
import type { EntityData } from './show-entity.ts';

/** What the app wants, before the device knows its number. */
export interface Draft {
  readonly mutationId: string;
  readonly scope: string;
  readonly entityType: string;
  readonly entityId: string;
  readonly op: LocalMutation['op'];
  readonly data?: EntityData | undefined;
  readonly update?: string;
  readonly dependsOn?: readonly string[] | undefined;
  /** By the device's clock, which is sent as it is (POLICY-4). */
  readonly occurredAt: string;
  readonly schemaVersion: number;
}

/** What the device counts for it. */
export interface Numbers {
  /** Above that of every mutation which this device has made before. */
  readonly sequence: number;
  readonly baseClock: VectorClock;
}

/** What is wrong with a draft, and where: a JSON Pointer into its data where it is one value. */
export interface DraftFault {
  readonly code: 'data_too_large' | 'data_invalid';
  readonly message: string;
}

const ENTITY_ID = new RegExp(ENTITY_ID_PATTERN);
const SCOPE = new RegExp(SCOPE_PATTERN);
/** In a push, `data` stands in a mutation, in a list, in the body. */
const DATA_DEPTH = LIMITS.jsonDepth - 3;

/**
 * What the server would refuse whatever stands in it, so that it is refused before it is stored.
 * @param draft its data as `JSON.parse` returns it
 * @returns null when there is nothing wrong
 */
export function faultOf({ entityId, scope, data, dependsOn }: Draft): DraftFault | null {
  if (!ENTITY_ID.test(entityId)) {
    return {
      code: 'data_invalid',
      message: `the id ${JSON.stringify(entityId)} does not match ${ENTITY_ID_PATTERN}`,
    };
  }
  if (!SCOPE.test(scope)) {
    return {
      code: 'data_invalid',
      message: `the scope ${JSON.stringify(scope)} does not match ${SCOPE_PATTERN}`,
    };
  }
  if ((dependsOn?.length ?? 0) > LIMITS.dependsOnPerMutation) {
    return {
      code: 'data_invalid',
      message: `dependsOn names more than ${LIMITS.dependsOnPerMutation} writes`,
    };
  }
  return data === undefined ? null : faultOfData(data);
}

/** @returns what is wrong with the data of a draft; null for nothing */
export function faultOfData(data: EntityData): DraftFault | null {
  const text = JSON.stringify(data);
  if (new TextEncoder().encode(text).length > LIMITS.mutationBytes) {
    return { code: 'data_too_large', message: `data has more than ${LIMITS.mutationBytes} bytes` };
  }
  if (isNestedDeeper(text, DATA_DEPTH)) {
    return { code: 'data_invalid', message: `data is nested deeper than ${DATA_DEPTH}` };
  }
  const unstorable = findUnstorable(data);
  return unstorable && { code: 'data_invalid', message: `data${unstorable.path}: ${unstorable.message}` };
}

/** The mutation as it is stored and sent, without its tag. What is undefined in it is left out. */
export function makeMutation(draft: Draft, { sequence, baseClock }: Numbers): LocalMutation {
  const { dependsOn, data, update, ...rest } = draft;
  return {
    ...rest,
    sequence,
    baseClock,
    // As JSON has it, so that what is shown, stored, tagged and sent is one and the same.
    ...(data === undefined ? {} : { data: readJson(JSON.stringify(data)) as Record<string, unknown> }),
    ...(update === undefined ? {} : { update }),
    ...(dependsOn && dependsOn.length > 0 ? { dependsOn: [...dependsOn] } : {}),
  };
}
