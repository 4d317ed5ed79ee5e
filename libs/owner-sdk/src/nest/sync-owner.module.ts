import { type DynamicModule, Module } from '@nestjs/common';
import { DiscoveryModule } from '@nestjs/core';
import { OWNER_OPTIONS, SyncOwner, type SyncOwnerOptions } from './sync-owner.ts';

/**
 * `imports: [SyncOwnerModule.register({ service, database, nats, logger })]`; inject {@link SyncOwner} for
 * own changes.
 */
@Module({})
export class SyncOwnerModule {
  /** @returns a global module with {@link SyncOwner}, which finds the entity types by their decorators */
  static register(options: SyncOwnerOptions): DynamicModule {
    return {
      module: SyncOwnerModule,
      global: true,
      imports: [DiscoveryModule],
      providers: [{ provide: OWNER_OPTIONS, useValue: options }, SyncOwner],
      exports: [SyncOwner],
    };
  }
}
