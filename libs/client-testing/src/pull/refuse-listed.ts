import { RefusedRequest } from '../server/refused-request.ts';

/** @throws RefusedRequest `schema_invalid` (COMMON-17) */
export function refuseRepeated(names: readonly string[], pathOf: (at: number) => string): void {
  const errors = names.flatMap((name, at) => {
    const isRepeated = names.indexOf(name) < at;
    return isRepeated ? [{ path: pathOf(at), message: 'stands here for the second time' }] : [];
  });
  if (errors.length > 0) throw new RefusedRequest('schema_invalid', 'Something is named twice', { errors });
}

/** @throws RefusedRequest `cursor_invalid` (PULL-5) */
export function refuseForged(isForged: readonly boolean[], path: string): void {
  const errors = isForged.flatMap((forged, at) => {
    const message = 'not a cursor of this device and scope';
    return forged ? [{ path: `${path}/${at}/cursor`, message }] : [];
  });
  const options = { errors };
  if (errors.length > 0)
    throw new RefusedRequest('cursor_invalid', 'A cursor is not of this device', options);
}
