import { LIMITS, type Resolution } from '@sync/protocol';
import { ProblemError } from '@sync/service-kit';

/**
 * What the schema cannot say: which kind of resolution brings what, and how large it may be.
 * @throws ProblemError `schema_invalid` or `limit_exceeded` with the offending path
 */
export function checkResolution({ kind, data, update, suggestionId }: Resolution): void {
  if (kind === 'accept_suggestion' && suggestionId === undefined)
    refuse('schema_invalid', '/resolution/suggestionId', 'accept_suggestion names a suggestion');
  if (kind !== 'merged') return;
  if (data === undefined && update === undefined)
    refuse('schema_invalid', '/resolution/data', 'merged needs data or an update');
  if (data !== undefined && update !== undefined)
    refuse('schema_invalid', '/resolution/update', 'merged has data or an update, not both');
  if (update === '') refuse('schema_invalid', '/resolution/update', 'an update has bytes');
  const { updateLength, mutationBytes } = LIMITS;
  if (update !== undefined && update.length > updateLength)
    refuse('limit_exceeded', '/resolution/update', `longer than ${updateLength} characters`);
  if (data !== undefined && Buffer.byteLength(JSON.stringify(data)) > mutationBytes)
    refuse('limit_exceeded', '/resolution/data', `larger than ${mutationBytes} bytes`);
}

function refuse(code: 'schema_invalid' | 'limit_exceeded', path: string, message: string): never {
  throw new ProblemError(code, `${path}: ${message}`, { errors: [{ path, message }] });
}
