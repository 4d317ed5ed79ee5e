import 'reflect-metadata';
import type { EntityDefinition, PushHandlerFunction } from '../entity-definition.ts';
import type { EntityStore } from '../entity-store.ts';
import { HANDLER, LOADER, STORER, type SyncEntityOptions } from './decorators.ts';

/**
 * The definition that a decorated provider stands for.
 * @throws TypeError naming class and decorator when a function is missing
 */
export function readDefinition(instance: object, options: SyncEntityOptions): EntityDefinition {
  const { store, ...registration } = options;
  return {
    ...registration,
    handle: methodOf<PushHandlerFunction>(instance, HANDLER, '@PushHandler()'),
    load:
      store?.load.bind(store) ??
      methodOf<EntityStore['load']>(instance, LOADER, '@LoadEntities() or a store'),
    store:
      store?.store.bind(store) ??
      methodOf<EntityStore['store']>(instance, STORER, '@StoreEntities() or a store'),
  };
}

function methodOf<F extends (...args: never[]) => unknown>(
  instance: object,
  role: symbol,
  decorator: string,
): F {
  const key = Reflect.getMetadata(role, instance) as string | symbol | undefined;
  const method: unknown = key === undefined ? undefined : Reflect.get(instance, key);
  if (typeof method !== 'function') {
    throw new TypeError(`${instance.constructor.name} is a @SyncEntity and needs ${decorator}`);
  }
  // The decorator's own type has checked the method's signature.
  return method.bind(instance) as F;
}
