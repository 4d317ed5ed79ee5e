import { RemoteError } from '@sync/messaging';
import { UpcastRequest, validator, type UpcastReply } from '@sync/protocol';
import type { EntityDefinition, UpcastFunction } from './entity-definition.ts';
import type { HandlerAnswer } from './handler-answer.ts';
import type { OwnerLogger } from './ports.ts';
import { faultsText } from './request-faults.ts';

const checkRequest = validator(UpcastRequest);

/** Whether sync-service has anything to ask of this entity type. */
export function hasUpcastFunctions({ upcasters = [] }: EntityDefinition): boolean {
  return upcasters.some((upcaster) => 'upcast' in upcaster);
}

/**
 * The edge of `sync.upcast.v1.<service>.<entityType>`: lifts each mutation by the function of its version.
 * One for which it throws is logged and left out; it is asked for again, and holds back nothing but its own
 * entity.
 * @throws RemoteError `schema_invalid` for what is no UpcastRequest of this entity type, or a version without
 * a function
 */
export function respondToUpcast(
  definition: EntityDefinition,
  value: unknown,
  logger: OwnerLogger,
): UpcastReply {
  const request = checkRequest(value);
  if (!request.ok) {
    throw new RemoteError('schema_invalid', `not an UpcastRequest: ${faultsText(request.faults)}`);
  }
  const { entityType, from, tenantId, mutations } = request.value;
  const upcast = entityType === definition.entityType ? functionOf(definition, from) : undefined;
  if (!upcast)
    throw new RemoteError('schema_invalid', `no function here lifts version ${from} of ${entityType}`);
  const results = mutations.flatMap(({ mutationId, op, data }): UpcastReply['results'] => {
    try {
      return [resultOf(mutationId, upcast(data, { tenantId, mutationId, op }))];
    } catch (error) {
      logger.error({ err: error, entityType, from, mutationId }, 'not lifted: the upcaster threw');
      return [];
    }
  });
  return { results };
}

function functionOf({ upcasters = [] }: EntityDefinition, from: number): UpcastFunction | undefined {
  const found = upcasters.find((upcaster) => upcaster.from === from);
  return found && 'upcast' in found ? found.upcast : undefined;
}

/** @throws TypeError when nothing is left: a mutation with data stays one */
function resultOf(mutationId: string, answer: HandlerAnswer): UpcastReply['results'][number] {
  if (answer.kind === 'rejected') {
    return { mutationId, code: answer.code, message: answer.message.slice(0, 1000) };
  }
  if (answer.data === null) throw new TypeError('an upcaster answered accept(null)');
  return { mutationId, data: { ...answer.data } };
}
