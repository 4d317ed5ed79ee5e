import 'reflect-metadata';
import { randomUUID } from 'node:crypto';
import { Inject, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { request } from '@sync/messaging';
import type { Tx } from '@sync/postgres';
import { type OwnerPushReply, type PushedMutation, subjects } from '@sync/protocol';
import {
  accept,
  type EntityData,
  type HandlerAnswer,
  type HandlerContext,
  jsonEntityStore,
  reject,
  type StoredRow,
} from '../index.ts';
import { mutationOf, startOwnerRig, type OwnerRig } from '../testing/owner-rig.ts';
import { LoadEntities, PushHandler, StoreEntities, SyncEntity, SyncOwner, SyncOwnerModule } from './index.ts';

const registration = {
  schemaVersion: 1,
  policy: 'lww' as const,
  projection: { kind: 'declarative' as const, fields: '*' as const, scopes: ['user:{userId}'] },
};

@Injectable()
class Rules {
  longest = 10;
}

@SyncEntity({ entityType: 'note', ...registration, store: jsonEntityStore('note') })
class Notes {
  private readonly rules: Rules;

  constructor(@Inject(Rules) rules: Rules) {
    this.rules = rules;
  }

  @PushHandler()
  decide(mutation: PushedMutation, _current: EntityData | null, context: HandlerContext): HandlerAnswer {
    const text = String(mutation.data?.['text']);
    if (text.length > this.rules.longest)
      return reject('data_invalid', `/text is too long for ${context.userId}`);
    return accept(mutation.data);
  }
}

@SyncEntity({ entityType: 'badge', ...registration })
class Badges {
  private readonly inner = jsonEntityStore('badge');

  @PushHandler()
  decide(): HandlerAnswer {
    return accept({ userId: 'u1', made: 'by the handler' });
  }

  @LoadEntities()
  read(tx: Tx, tenantId: string, ids: readonly string[]): Promise<ReadonlyMap<string, EntityData>> {
    return this.inner.load(tx, tenantId, ids);
  }

  @StoreEntities()
  write(tx: Tx, tenantId: string, rows: readonly StoredRow[]): Promise<void> {
    return this.inner.store(tx, tenantId, rows);
  }
}

@SyncEntity({ entityType: 'note', ...registration, store: jsonEntityStore('note') })
class WithoutHandler {}

describe('the Nest entry', () => {
  let rig: OwnerRig;
  beforeAll(async () => {
    rig = await startOwnerRig();
  });
  afterAll(() => rig.stop());

  const createApp = (
    providers: (new (...args: never[]) => object)[],
  ): ReturnType<typeof NestFactory.createApplicationContext> => {
    @Module({})
    class App {}
    const options = {
      service: `${rig.service}-nest`,
      database: rig.test.database,
      nats: rig.nats,
      logger: rig.log,
    };
    const module = { module: App, imports: [SyncOwnerModule.register(options)], providers };
    return NestFactory.createApplicationContext(module, { logger: false });
  };

  it('serves decorated providers, with what they inject, and hands out the owner', async () => {
    const app = await createApp([Rules, Notes, Badges]);
    const push = (mutation: PushedMutation): Promise<OwnerPushReply> =>
      request(
        rig.nats,
        subjects.push(`${rig.service}-nest`, mutation.entityType),
        { tenantId: 'alpha', mutations: [mutation] },
        { timeoutMs: 5_000 },
      );
    expect((await push(mutationOf({ data: { userId: 'u1', text: 'short' } }))).results).toMatchObject([
      { status: 'applied' },
    ]);
    expect((await push(mutationOf({ data: { userId: 'u1', text: 'much too long' } }))).results).toMatchObject(
      [{ status: 'rejected', message: '/text is too long for u1' }],
    );
    const entityId = randomUUID();
    expect((await push(mutationOf({ entityType: 'badge', entityId }))).results).toMatchObject([
      { status: 'applied' },
    ]);
    const owner = app.get(SyncOwner);
    const seen = await rig.test.database.inTenant('alpha', async (tx) => {
      const locked = await owner.lock(tx, 'alpha', 'badge', [entityId]);
      await owner.change(tx, 'alpha', [{ entityType: 'badge', entityId, data: null }]);
      return locked.get(entityId);
    });
    owner.kick();
    expect(seen).toEqual({ userId: 'u1', made: 'by the handler' });
    await app.close();
    await expect(push(mutationOf())).rejects.toThrow(/Nobody answers/);
  });

  it('says at start which class lacks which decorator', async () => {
    await expect(createApp([WithoutHandler])).rejects.toThrow(
      'WithoutHandler is a @SyncEntity and needs @PushHandler()',
    );
  });
});
