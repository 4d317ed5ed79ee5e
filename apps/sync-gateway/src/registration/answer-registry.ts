import type { NatsConnection } from '@nats-io/transport-node';
import { firstThatFit, RemoteError, Responder } from '@sync/messaging';
import {
  type RegisterReply,
  type RegistryListReply,
  RegistryListRequest,
  subjects,
  validator,
} from '@sync/protocol';
import { type Logger, toProblem } from '@sync/service-kit';
import type { RegisterService } from './register-service.ts';
import type { Registry } from './registry.ts';

const QUEUE = 'sync-gateway';
/** Of one reply, well below the bound of a message. */
const MAX_PAGE_BYTES = 300 * 1024;

const checkRequest = validator(RegistryListRequest);

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
      new Responder({ ...common, subject: subjects.registryList, handle: (body) => this.#list(body) }),
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
  async #list(body: unknown): Promise<RegistryListReply> {
    const asked = checkRequest(body);
    const after = asked.ok ? (asked.value.after ?? '') : '';
    await this.#registry.reload();
    const types = this.#registry.services.flatMap(({ service, entityTypes }) =>
      entityTypes.map((type) => ({ service, type })),
    );
    const rest = types
      .filter(({ type }) => type.entityType > after)
      .sort((a, b) => (a.type.entityType < b.type.entityType ? -1 : 1));
    const page = firstThatFit(rest, MAX_PAGE_BYTES);
    const registrations = [...Map.groupBy(page, ({ service }) => service)].map(([service, own]) => ({
      service,
      entityTypes: own.map(({ type }) => type),
    }));
    return { registrations, next: rest.length > page.length ? (page.at(-1)?.type.entityType ?? null) : null };
  }
}
