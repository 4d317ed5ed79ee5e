import {
  type Answer,
  type Call,
  type Clock,
  type EntityTypes,
  type SyncClient,
  type Transport,
  createHttpTransport,
  createSyncClient,
  systemClock,
} from '@sync/client';
import { MemoryDisk, MemoryStore } from '@sync/client/memory';
import { importDeviceKey, webCryptoKey } from '@sync/client/webcrypto-key';
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
  /** False for a device whose pulls wait for news. */
  readonly hasSocket?: boolean;
  /** What the requests of the device pass through: to look at them, or to keep some of them back. */
  readonly through?: (transport: Transport) => Transport;
}

export interface StoredScope {
  readonly scope: string;
  readonly cursor: string | null;
  /** The last of which the server has said that it knows it. */
  readonly ackedCursor: string | null;
  readonly digest: Digest;
  /** What the server says of its own; null while there is more to pull. */
  readonly serverDigest: Digest | null;
  readonly isRevoked: boolean;
}

const MUTATIONS_PER_PUSH = 100;

/** A device with an app on `@sync/client`, which can be ended and opened again on what it has stored. */
export class AppDevice<Types extends EntityTypes> {
  readonly disk: MemoryDisk;
  /** Every mutation that was sent, by id, as it was sent last. */
  readonly pushed = new Map<string, LocalMutation>();
  /** Added to this machine's clock: a device with a wrong clock, or one that writes as if at another time. */
  clockOffsetMs = 0;
  readonly credentials: DeviceCredentials;
  readonly #options: AppDeviceOptions<Types>;
  #client: SyncClient<Types> | null = null;
  #transport: Transport | null = null;

  private constructor(options: AppDeviceOptions<Types>, disk: MemoryDisk) {
    this.#options = options;
    this.credentials = options.credentials;
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
   * Its scopes with their digests as one text, which devices that hold the same have in common; null while it
   * differs from what the server has, or something waits in its outbox.
   */
  async settledState(): Promise<string | null> {
    const scopes = await this.scopes();
    const agrees = scopes.every(({ digest, serverDigest }) => {
      return digest.hash === serverDigest?.hash && digest.count === serverDigest.count;
    });
    if (!agrees || (await this.outbox()).length > 0) return null;
    return scopes
      .map(({ scope, digest }) => `${scope}=${digest.hash}`)
      .sort()
      .join(' ');
  }

  /** A request of the device for which the SDK has no call of its own, or one behind the back of its app. */
  async send<T>(path: string, body: unknown): Promise<Answer<T>> {
    if (!this.#transport) throw new Error('The app is not open');
    return this.#transport.send<T>({ method: 'POST', path, body, timeoutMs: 30_000 });
  }

  /**
   * Sends mutations once more behind the back of the app.
   * @throws Error where no answer comes
   */
  async sendAgain(mutations: readonly LocalMutation[]): Promise<readonly Outcome[]> {
    const body = { sentAt: new Date().toISOString(), mutations };
    const answer = await this.send<PushResponse>('/sync/v1/push', body);
    if (!answer.ok) throw new Error(`a push was not answered: ${answer.detail}`);
    return answer.body.outcomes;
  }

  /**
   * Sends all that was sent once more: each mutation is answered with the outcome that it has had.
   * @throws Error where no answer comes
   */
  async sendAllAgain(): Promise<Outcome[]> {
    const outcomes: Outcome[] = [];
    const sent = [...this.pushed.values()];
    for (let at = 0; at < sent.length; at += MUTATIONS_PER_PUSH) {
      outcomes.push(...(await this.sendAgain(sent.slice(at, at + MUTATIONS_PER_PUSH))));
    }
    return outcomes;
  }

  async #open(): Promise<void> {
    const { urls, tenantId, userId, credentials, entities, newId, hasSocket = true } = this.#options;
    const { deviceId, hmacKey, accessToken } = credentials;
    const identity = { tenantId, userId, deviceId };
    const key = await webCryptoKey(await importDeviceKey(Buffer.from(hmacKey, 'base64')), identity);
    const token = async (): Promise<string> => accessToken;
    const clock: Clock = { ...systemClock, now: () => systemClock.now() + this.clockOffsetMs };
    const http = createHttpTransport({
      ...{ gatewayUrl: urls.gateway, identity, key, token, clock },
      ...(hasSocket ? {} : { openSocket: null }),
    });
    const transport = this.#options.through?.(http) ?? http;
    this.#transport = {
      send: (call) => {
        this.#note(call);
        return transport.send(call);
      },
      ...(transport.listen ? { listen: transport.listen.bind(transport) } : {}),
    };
    this.#client = await createSyncClient({
      ...{ identity, key, transport: this.#transport, store: new MemoryStore(this.disk), entities, clock },
      ...(newId ? { newId } : {}),
    });
  }

  #note({ path, body }: Call): void {
    if (path !== '/sync/v1/push') return;
    for (const mutation of (body as PushRequest).mutations) this.pushed.set(mutation.mutationId, mutation);
  }
}
