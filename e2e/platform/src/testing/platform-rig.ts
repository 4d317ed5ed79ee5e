import { randomUUID } from 'node:crypto';
import type { NatsConnection } from '@nats-io/transport-node';
import { connectNats, ensureStreams, request } from '@sync/messaging';
import { type RunningNats, startNats } from '@sync/messaging/testing';
import { Database, provision } from '@sync/postgres';
import { startPostgres } from '@sync/postgres/testing';
import {
  type DomainEvent,
  type OwnerPushReply,
  type OwnerPushResult,
  type PushedMutation,
  subjects,
  STREAMS,
} from '@sync/protocol';
import { HTTP_BOUNDS, type RunningService } from '@sync/service-kit';
import type { PlatformConfig } from '../platform-config.ts';

/** One service of the platform with a database of its own, driven as in production: over HTTP and NATS. */
export interface ServiceRig {
  readonly config: PlatformConfig;
  readonly nats: NatsConnection;
  readonly database: Database;
  url(): string;
  restart(): Promise<void>;
  /** An HTTP call; the body is JSON. */
  call(
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; body: Record<string, unknown> }>;
  push(mutations: readonly PushedMutation[]): Promise<OwnerPushResult[]>;
  /** Events of one entity, in writing order. */
  eventsOf(entityId: string): Promise<DomainEvent[]>;
  stop(): Promise<void>;
}

/** @param natsServer of its own, where another test of the service may run beside this one */
export async function startServiceRig(
  service: string,
  start: (config: PlatformConfig) => Promise<RunningService>,
  natsServer: Promise<Pick<RunningNats, 'url'>> = startNats(),
): Promise<ServiceRig> {
  const [postgres, server] = await Promise.all([startPostgres(), natsServer]);
  const name = `${service}_${randomUUID().slice(0, 8)}`;
  const { ownerUrl, appUrl } = await provision({ adminUrl: postgres.adminUrl, name });
  const config: PlatformConfig = {
    ...{ port: 0, opsPort: 0 },
    host: '127.0.0.1',
    natsUrl: server.url,
    ...{ natsUser: '', natsPassword: '', natsNkeySeed: '' },
    migrateAndExit: false,
    natsReplicas: 1,
    drainReadinessMs: 0,
    ...HTTP_BOUNDS,
    databaseUrl: appUrl,
    databaseOwnerUrl: ownerUrl,
    databasePoolSize: 8,
    logLevel: 'silent',
    faultInjection: false,
  };
  const nats = await connectAsApp(server.url);
  let running = await start(config);
  const database = await Database.connect({ url: appUrl, applicationName: 'platform-test', poolSize: 2 });
  return {
    config,
    nats,
    database,
    url: () => running.url,
    async restart() {
      await running.stop();
      running = await start(config);
    },
    async call(method, path, body) {
      const answer = await fetch(`${running.url}${path}`, {
        method,
        ...(body === undefined
          ? {}
          : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      });
      const text = await answer.text();
      return {
        status: answer.status,
        body: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown>,
      };
    },
    async push(mutations) {
      const entityType = mutations[0]?.entityType ?? '';
      const body = { tenantId: 'acme', mutations };
      const options = { timeoutMs: 10_000 };
      return (await request<OwnerPushReply>(nats, subjects.push(service, entityType), body, options)).results;
    },
    async eventsOf(entityId) {
      const rows = await database.call<{ payload: string }>(
        'test_events',
        'SELECT payload FROM sync_outbox ORDER BY id',
        [],
      );
      const events = rows.flatMap((row) => JSON.parse(row.payload) as DomainEvent[]);
      return events.filter((event) => event.entityid === entityId);
    },
    async stop() {
      await running.stop();
      await nats.drain();
      await database.close();
    },
  };
}

/** As one of the platform's apps, which create the streams that services wait for. */
async function connectAsApp(url: string): Promise<NatsConnection> {
  const nats = await connectNats({ url, name: 'platform-test' });
  await ensureStreams(nats, Object.values(STREAMS));
  return nats;
}

/** A mutation by device `d1` of user `ada`, with what a test says otherwise. */
export function mutationOf(
  given: Partial<PushedMutation> & Pick<PushedMutation, 'entityType' | 'op'>,
): PushedMutation {
  const expectedRevision = given.expectedRevision ?? 0;
  return {
    mutationId: randomUUID(),
    userId: 'ada',
    deviceId: 'd1',
    scope: 'user:ada',
    entityId: randomUUID(),
    data: null,
    clock: { 'd:d1': expectedRevision + 1 },
    expectedRevision,
    occurredAt: '2026-03-01T10:00:00.000Z',
    schemaVersion: 1,
    ...given,
  };
}
