import { Inject, Injectable, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import type { NotStoringError } from '@sync/messaging';
import type { Tx } from '@sync/postgres';
import type { ChangeResult } from '../change-entities.ts';
import type { EntityData } from '../entity-store.ts';
import type { ServerChange } from '../handler-answer.ts';
import { startOwner, type Owner, type OwnerOptions } from '../start-owner.ts';
import { SyncEntity } from './decorators.ts';
import { readDefinition } from './read-definition.ts';

/** What {@link SyncOwnerModule} is given. */
export type SyncOwnerOptions = Omit<OwnerOptions, 'entities'>;

export const OWNER_OPTIONS = Symbol('OWNER_OPTIONS');

/**
 * The owner of every `@SyncEntity` provider of the application: starts when the application has started, and
 * stops after the last HTTP request.
 */
@Injectable()
export class SyncOwner implements Omit<Owner, 'stop'>, OnApplicationBootstrap, OnApplicationShutdown {
  private readonly options: SyncOwnerOptions;
  private readonly discovery: DiscoveryService;
  private owner: Owner | undefined;

  constructor(
    @Inject(OWNER_OPTIONS) options: SyncOwnerOptions,
    @Inject(DiscoveryService) discovery: DiscoveryService,
  ) {
    this.options = options;
    this.discovery = discovery;
  }

  /**
   * @throws TypeError for a `@SyncEntity` without its functions, RegistrationFaultError for an invalid one
   */
  onApplicationBootstrap(): void {
    const entities = this.discovery.getProviders({ metadataKey: SyncEntity.KEY }).map((wrapper) => {
      const options = this.discovery.getMetadataByDecorator(SyncEntity, wrapper);
      const instance: unknown = wrapper.instance;
      if (typeof instance !== 'object' || instance === null || !options) {
        throw new TypeError(`${wrapper.name} is a @SyncEntity but no singleton provider`);
      }
      return readDefinition(instance, options);
    });
    this.owner = startOwner({ ...this.options, entities });
  }

  /** Called by Nest: stops the owner, where it was started. */
  async onApplicationShutdown(): Promise<void> {
    await this.owner?.stop();
  }

  /** See {@link Owner.lock}. */
  lock(
    tx: Tx,
    tenantId: string,
    entityType: string,
    entityIds: readonly string[],
  ): Promise<ReadonlyMap<string, EntityData>> {
    return this.started().lock(tx, tenantId, entityType, entityIds);
  }

  /** See {@link Owner.change}. */
  change(tx: Tx, tenantId: string, changes: readonly ServerChange[]): Promise<ChangeResult[]> {
    return this.started().change(tx, tenantId, changes);
  }

  /** See {@link Owner.announce}. */
  announce(tx: Tx, tenantId: string, changes: readonly ServerChange[]): Promise<ChangeResult[]> {
    return this.started().announce(tx, tenantId, changes);
  }

  /** See {@link Owner.kick}. */
  kick(): void {
    this.started().kick();
  }

  /** See {@link Owner.registered}; for a readiness check. */
  registered(): boolean {
    return this.owner?.registered() ?? false;
  }

  /** See {@link Owner.standstill}; for a readiness check. */
  standstill(): NotStoringError | undefined {
    return this.owner?.standstill();
  }

  private started(): Owner {
    if (!this.owner) throw new Error('SyncOwner is used before the application has started');
    return this.owner;
  }
}
