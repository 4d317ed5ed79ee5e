import type { NatsConnection } from '@nats-io/transport-node';
import { RemoteError, Responder } from '@sync/messaging';
import { type RegisterReply, type RegistryListReply, subjects } from '@sync/protocol';
import { type Logger, toProblem } from '@sync/service-kit';
import type { RegisterService } from './register-service.ts';
import type { Registry } from './registry.ts';

const QUEUE = 'sync-gateway';

/** Answers `sync.registry.v1.register` and `sync.registry.v1.list`; any replica does. */
export class AnswerRegistry {
  readonly #nats: NatsConnection;
  readonly #registerService: RegisterService;
  readonly #registry: Registry;
  readonly #logger: Logger;
  #responders: Responder[] = [];

  constructor(nats: NatsConnection, registerService: RegisterService, registry: Registry, logger: Logger) {
    this.#nats = nats;
    this.#registerService = registerService;
    this.#registry = registry;
    this.#logger = logger;
  }

  start(): void {
    const common = { nats: this.#nats, queue: QUEUE, logger: this.#logger };
    this.#responders = [
      new Responder({ ...common, subject: subjects.register, handle: (body) => this.#register(body) }),
      new Responder({ ...common, subject: subjects.registryList, handle: () => this.#list() }),
    ];
  }

  async stop(): Promise<void> {
    await Promise.all(this.#responders.map((responder) => responder.stop()));
  }

  async #register(body: unknown): Promise<RegisterReply> {
    try {
      return { registered: await this.#registerService.execute(body) };
    } catch (error) {
      const { code, message, status } = toProblem(error);
      if (status >= 500) this.#logger.error({ err: error }, 'a registration failed');
      throw new RemoteError(code, message);
    }
  }

  /** From the database and not from the copy in memory: who asks has often just been told that it changed. */
  async #list(): Promise<RegistryListReply> {
    await this.#registry.reload();
    return {
      registrations: this.#registry.services.map(({ service, entityTypes }) => ({ service, entityTypes })),
    };
  }
}
