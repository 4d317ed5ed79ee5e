import { randomUUID } from 'node:crypto';
import { connectNats } from '@sync/messaging';
import { type RunningNats, startNats } from '@sync/messaging/testing';
import { createTestDatabase, startPostgres, type TestDatabase } from '@sync/postgres/testing';
import type { NatsConnection } from '@nats-io/transport-node';
import { readGatewayConfig } from '../config.ts';
import { APP_RIGHTS, FUNCTIONS, MIGRATIONS } from '../database/schema.ts';
import { RegistrationEntity } from '../registration/registration-entity.ts';
import { type RunningGateway, startGateway } from '../start-gateway.ts';
import { type Answer, type CallOptions, signedCall } from './signed-call.ts';
import { type TestDevice, TestIdentity } from './test-identity.ts';
import { TestProjector } from './test-projector.ts';

/** A database of its own with the gateway's schema. */
export async function gatewayDatabase(
  poolSize = 10,
  postgres?: { readonly adminUrl: string },
): Promise<TestDatabase> {
  return createTestDatabase({
    postgres: postgres ?? (await startPostgres()),
    name: 'gateway',
    migrations: MIGRATIONS,
    functions: FUNCTIONS,
    appRights: APP_RIGHTS,
    entities: [RegistrationEntity],
    poolSize,
  });
}

/** One or more whole gateways on real Postgres and NATS, with stand-ins for identity and projector only. */
export class GatewayRig {
  readonly test: TestDatabase;
  readonly server: RunningNats;
  readonly nats: NatsConnection;
  readonly identity: TestIdentity;
  readonly projector = new TestProjector();
  readonly gateways: RunningGateway[] = [];
  readonly #env: Record<string, string>;

  private constructor(test: TestDatabase, server: RunningNats, nats: NatsConnection, identity: TestIdentity) {
    this.test = test;
    this.server = server;
    this.nats = nats;
    this.identity = identity;
    this.#env = {
      NATS_URL: server.url,
      DATABASE_URL: test.appUrl,
      IDENTITY_URL: identity.url,
      DRAIN_READINESS_MS: '0',
      LOG_LEVEL: process.env['RIG_LOG'] ?? 'fatal',
    };
  }

  /** @param postgres a server of its own, for tests that kill it */
  static async start(
    env: Record<string, string> = {},
    postgres?: { readonly adminUrl: string },
  ): Promise<GatewayRig> {
    const [test, server] = await Promise.all([gatewayDatabase(10, postgres), startNats({ own: true })]);
    const nats = await connectNats({ url: server.url, name: 'test' });
    const rig = new GatewayRig(test, server, nats, await TestIdentity.start(nats));
    await rig.addGateway(env);
    return rig;
  }

  /** Another replica. */
  async addGateway(env: Record<string, string> = {}): Promise<RunningGateway> {
    const gateway = await startGateway(readGatewayConfig({ ...this.#env, ...env }));
    this.gateways.push(gateway);
    return gateway;
  }

  get gateway(): RunningGateway {
    const [first] = this.gateways;
    if (!first) throw new Error('the rig was not started');
    return first;
  }

  get url(): string {
    return this.gateway.url;
  }

  /** A device of a user of its own, unless named. */
  async device(tenantId = 't1', userId: string = `u-${randomUUID()}`): Promise<TestDevice> {
    return this.identity.bind(tenantId, userId, `d-${randomUUID()}`);
  }

  call<T = Record<string, unknown>>(
    device: TestDevice,
    path: string,
    value: unknown,
    options: CallOptions & { readonly url?: string } = {},
  ): Promise<Answer<T>> {
    return signedCall<T>(options.url ?? this.url, device, `/sync/v1/${path}`, value, options);
  }

  /** Applies what the projector has projected, behind the gateway's back: no hint is sent. */
  ingest(): Promise<unknown> {
    return this.projector.ingest(this.test.database);
  }

  async stop(): Promise<void> {
    for (const gateway of this.gateways) await gateway.stop();
    await this.identity.stop();
    await this.nats.drain();
    await this.server.stop();
    await this.test.drop();
  }
}
