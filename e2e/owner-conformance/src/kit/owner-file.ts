import { readFile } from 'node:fs/promises';
import { SyncRegistration, validator } from '@sync/protocol';
import Type, { type Static } from 'typebox';

const Data = Type.Record(Type.String(), Type.Unknown());

/**
 * What somebody says of one entity type, so that the checks can write it. In texts, `{userId}`, `{entityId}`
 * and `{uuid}` stand for ids that the checks make up; `{uuid}` is the same within an entity.
 */
export const TypeExample = Type.Object({
  data: Data,
  /** Fields that are given other values, and fields of which the owner refuses the values. */
  changed: Type.Optional(Data),
  invalid: Type.Optional(Data),
  /** A field that need not be there. */
  optional: Type.Optional(Type.String()),
  /** Where it shows; without it the first scope of the registration, from `data`. */
  scope: Type.Optional(Type.String()),
  /** What an app of the version `from` wrote, where the service lifts that itself. */
  older: Type.Optional(Type.Object({ from: Type.Integer(), data: Data })),
});
export type TypeExample = Static<typeof TypeExample>;

/** The file of `npm run conformance -- --owner FILE`; docs/guides/check-your-service.md explains it. */
export const OwnerFile = Type.Object({
  nats: Type.String(),
  nkeySeed: Type.Optional(Type.String()),
  service: Type.String(),
  registration: Type.Optional(SyncRegistration),
  entityTypes: Type.Record(Type.String(), TypeExample, { minProperties: 1 }),
});
export type OwnerFile = Static<typeof OwnerFile>;

/** What the checks are told: the file, and how the service has registered itself. */
export interface OwnerTarget extends OwnerFile {
  readonly registration: SyncRegistration;
}

const check = validator(OwnerFile);

/** @throws Error that says what is wrong with the file */
export async function readOwnerFile(path: string): Promise<OwnerFile> {
  const text = await readFile(path, 'utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new Error(`${path} is no JSON`, { cause });
  }
  const checked = check(value);
  if (checked.ok) return checked.value;
  const faults = checked.faults.map((fault) => `${fault.path} ${fault.message}`);
  throw new Error(`${path} is not what --owner needs: ${faults.join('; ')}`);
}
