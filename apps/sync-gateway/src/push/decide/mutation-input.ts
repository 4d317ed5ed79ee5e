import type { JsonObject, MutationInput } from '@sync/domain';
import { counterOf, deviceReplica } from '@sync/vector-clock';
import type { PreparedMutation } from '../prepare/prepare-mutation.ts';

/** The mutation as decisions see it. `delete` and `merge` carry no data, whatever a device put there. */
export function inputOf(mutation: PreparedMutation, deviceId: string): MutationInput {
  const { mutationId, entityType, entityId, op, baseClock, counter, occurredAtMs } = mutation;
  const carriesData = op !== 'delete' && op !== 'merge';
  return {
    mutationId,
    deviceId,
    entityType,
    entityId,
    op,
    data: carriesData ? ((mutation.data ?? null) as JsonObject | null) : null,
    update: op === 'merge' ? (mutation.update ?? null) : null,
    baseClock,
    ...(counter > counterOf(baseClock, deviceReplica(deviceId)) + 1 && { counter }),
    occurredAtMs,
    schemaVersion: mutation.schemaVersion ?? 1,
  };
}
