import { DiscoveryService } from '@nestjs/core';
import type { EntityDefinition, PushHandlerFunction } from '../entity-definition.ts';
import type { EntityStore } from '../entity-store.ts';

/**
 * What {@link SyncEntity} takes: the definition without its functions, and a ready-made store if it has one.
 */
export interface SyncEntityOptions extends Omit<EntityDefinition, 'handle' | 'load' | 'store'> {
  /** Instead of {@link LoadEntities} and {@link StoreEntities}: `jsonEntityStore('note')`. */
  readonly store?: EntityStore;
}

/** A provider that owns one entity type; registered with the gateway when the application starts. */
export const SyncEntity = DiscoveryService.createDecorator<SyncEntityOptions>();

/** Metadata keys on methods; DiscoveryService's own decorators are not typed by the method they stand on. */
export const HANDLER = Symbol('sync:push-handler');
export const LOADER = Symbol('sync:load-entities');
export const STORER = Symbol('sync:store-entities');

/** Generic, so that a method may take fewer parameters than it is given. */
type MethodDecoratorOf<F> = <M extends F>(
  target: object,
  key: string | symbol,
  descriptor: TypedPropertyDescriptor<M>,
) => void;

const mark = (role: symbol) => (): ((target: object, key: string | symbol) => void) => (target, key) => {
  Reflect.defineMetadata(role, key, target);
};

/** The push handler: a {@link PushHandlerFunction}. */
export const PushHandler: () => MethodDecoratorOf<PushHandlerFunction> = mark(HANDLER);

/** Reads entities, for pushes and for snapshots: an `EntityStore['load']`. */
export const LoadEntities: () => MethodDecoratorOf<EntityStore['load']> = mark(LOADER);

/** Writes entities: an `EntityStore['store']`. */
export const StoreEntities: () => MethodDecoratorOf<EntityStore['store']> = mark(STORER);
