import {
  type Call,
  type EntityTypes,
  type SyncClient,
  type Transport,
  MemoryDisk,
  MemoryStore,
  createHttpTransport,
  createSyncClient,
  importDeviceKey,
  webCryptoKey,
} from '@sync/client';
import type { Digest, LocalMutation, Outcome, PushRequest, PushResponse } from '@sync/protocol';
import type { PlatformUrls } from './platform-client.ts';
import type { DeviceCredentials } from './signed-http.ts';

export interface AppDeviceOptions<Types extends EntityTypes> {
  readonly urls: Pick<PlatformUrls, 'gateway'>;
  readonly tenantId: string;
  readonly userId: string;
  readonly credentials: DeviceCredentials;
  readonly entities: Types;
  /** A UUID; random ones where a run is to be no function of its seed. */
  readonly newId?: () => string;
}

export interface StoredScope {
  readonly scope: string;
  readonly digest: Digest;
  /** What the server says of its own; null while there is more to pull. */
  readonly serverDigest: Digest | null;
  readonly isRevoked: boolean;
}

/** A device with an app on `@sync/client`, which can be ended and opened again on what it has stored. */
export class AppDevice<Types extends EntityTypes> {
  readonly disk: MemoryDisk;
  /** Every mutation that was sent, by id, as it was sent last. */
  readonly pushed = new Map<string, LocalMutation>();
  readonly #options: AppDeviceOptions<Types>;
  #client: SyncClient<Types> | null = null;
  #transport: Transport | null = null;

  private constructor(options: AppDeviceOptions<Types>, disk: MemoryDisk) {
    this.#options = options;
    this.disk = disk;
  }

  /** Nothing is sent before `client.start()`. */
  static async open<const Types extends EntityTypes>(
    options: AppDeviceOptions<Types>,
    disk = new MemoryDisk(),
  ): Promise<AppDevice<Types>> {
    const device = new AppDevice(options, disk);
    await device.#open();
    return device;
  }

  get client(): SyncClient<Types> {
    if (!this.#client) throw new Error('The app is not open');
    return this.#client;
  }

  /** The app ends, and is opened and started again. */
  async restart(): Promise<void> {
    await this.close();
    await this.#open();
    this.client.start();
  }

  async close(): Promise<void> {
    await this.#client?.close();
    this.#client = null;
  }

  /** Mutations that have not left the outbox yet, in their order. */
  async outbox(): Promise<LocalMutation[]> {
    const rows = await new MemoryStore(this.disk).list('outbox', '');
    return rows.map(({ value }) => value['mutation'] as LocalMutation);
  }

  /** What is stored of each scope that was not taken away. */
  async scopes(): Promise<StoredScope[]> {
    const rows = await new MemoryStore(this.disk).list('scope', '');
    return rows.map(({ value }) => value as unknown as StoredScope).filter(({ isRevoked }) => !isRevoked);
  }

  /**
   * Sends mutations once more behind the back of the app.
   * @throws Error where no answer comes
   */
  async sendAgain(mutations: readonly LocalMutation[]): Promise<readonly Outcome[]> {
    const body = { sentAt: new Date().toISOString(), mutations };
    const call = { method: 'POST', path: '/sync/v1/push', body, timeoutMs: 30_000 } as const;
    const answer = await this.#transport?.send<PushResponse>(call);
    if (!answer?.ok) throw new Error(`a push was not answered: ${answer?.detail ?? 'the app is not open'}`);
    return answer.body.outcomes;
  }

  async #open(): Promise<void> {
    const { urls, tenantId, userId, credentials, entities, newId } = this.#options;
    const { deviceId, hmacKey, accessToken } = credentials;
    const identity = { tenantId, userId, deviceId };
    const key = await webCryptoKey(await importDeviceKey(Buffer.from(hmacKey, 'base64')), identity);
    const token = async (): Promise<string> => accessToken;
    const transport = createHttpTransport({ gatewayUrl: urls.gateway, identity, key, token });
    this.#transport = {
      send: (call) => {
        this.#note(call);
        return transport.send(call);
      },
      ...(transport.listen ? { listen: transport.listen.bind(transport) } : {}),
    };
    this.#client = await createSyncClient({
      ...{ identity, key, transport: this.#transport, store: new MemoryStore(this.disk), entities },
      ...(newId ? { newId } : {}),
    });
  }

  #note({ path, body }: Call): void {
    if (path !== '/sync/v1/push') return;
    for (const mutation of (body as PushRequest).mutations) this.pushed.set(mutation.mutationId, mutation);
  }
}
