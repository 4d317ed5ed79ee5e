import type { NatsConnection } from '@nats-io/transport-node';
import { firstThatFit, RemoteError, Responder } from '@sync/messaging';
import {
  PROBLEM_CODES,
  type ProblemCode,
  type RegisterReply,
  type RegistryListReply,
  RegistryListRequest,
  SERVICE_PATTERN,
  subjects,
  validator,
} from '@sync/protocol';
import { type Logger, toProblem } from '@sync/service-kit';
import type { AuditLog } from '../audit/audit-log.ts';
import type { Refusals } from '../audit/refusals.ts';
import { refusedRegistration } from './registration-line.ts';
import type { RegistrationRights } from './registration-rights.ts';
import type { RegisterService } from './register-service.ts';
import type { Registry } from './registry.ts';

const QUEUE = 'sync-gateway';
/** Of one reply, well below the bound of a message. */
const MAX_PAGE_BYTES = 300 * 1024;

const SERVICE = new RegExp(SERVICE_PATTERN);
/** Who gives no name that a service can have. */
const UNNAMED = 'unnamed';

const checkRequest = validator(RegistryListRequest);

interface Registering {
  readonly rights: RegistrationRights;
  readonly registerService: RegisterService;
  /** Whatever is refused here is written into the log of the platform. */
  readonly audit: { readonly log: AuditLog; readonly refusals: Refusals };
}

/**
 * Answers registrations, on `sync.registry.v1.register.<service>`, and `sync.registry.v1.list`; any replica
 * does.
 */
export class AnswerRegistry {
  readonly #nats: NatsConnection;
  readonly #registering: Registering;
  readonly #registry: Registry;
  readonly #logger: Logger;
  #responders: Responder[] = [];

  constructor(nats: NatsConnection, registering: Registering, registry: Registry, logger: Logger) {
    this.#nats = nats;
    this.#registering = registering;
    this.#registry = registry;
    this.#logger = logger;
  }

  start(): void {
    const common = { nats: this.#nats, queue: QUEUE, logger: this.#logger };
    this.#responders = [
      new Responder({
        ...common,
        subject: subjects.registerAs('*'),
        handle: (body, { subject }) =>
          this.#noting(subject.split('.').at(-1), body, () => this.#registerAs(subject, body)),
      }),
      new Responder({
        ...common,
        subject: subjects.register,
        handle: (body) => this.#noting(nameIn(body), body, () => this.#registerUnnamed(body)),
      }),
      new Responder({ ...common, subject: subjects.registryList, handle: (body) => this.#list(body) }),
    ];
  }

  async stop(): Promise<void> {
    await Promise.all(this.#responders.map((responder) => responder.stop()));
  }

  /** Whoever is refused is named in the audit log. @param sender as far as anything says who it is */
  async #noting<T>(sender: string | undefined, body: unknown, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (error instanceof RemoteError && isRefusal(error.code)) {
        const { log, refusals } = this.#registering.audit;
        const draft = refusedRegistration(serviceNamed(sender), serviceNamed(nameIn(body)), error.code);
        await refusals.note({ chain: log.platformTenant, draft });
      }
      throw error;
    }
  }

  /** NATS permissions decide who may send on a subject with the service's name; the body must name the same. */
  async #registerAs(subject: string, body: unknown): Promise<RegisterReply> {
    const service = nameIn(body);
    if (service !== undefined && subject !== subjects.registerAs(service)) {
      throw new RemoteError('forbidden', `${subject} does not register for ${service}`);
    }
    return this.#register(body);
  }

  /** Anybody may send here, in anybody's name: so only where everybody may register anything. */
  async #registerUnnamed(body: unknown): Promise<RegisterReply> {
    if (this.#registering.rights.isConfigured) {
      throw new RemoteError('forbidden', `Register on ${subjects.registerAs(nameIn(body) ?? '<service>')}`);
    }
    return this.#register(body);
  }

  async #register(body: unknown): Promise<RegisterReply> {
    try {
      return { registered: await this.#registering.registerService.execute(body, 'service') };
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

/** Anything else is a fault of ours, or of a part that is away. */
function isRefusal(code: string): boolean {
  return Object.hasOwn(PROBLEM_CODES, code) && PROBLEM_CODES[code as ProblemCode].status < 500;
}

function serviceNamed(name: string | undefined): string {
  return name !== undefined && SERVICE.test(name) ? name : UNNAMED;
}

/** The service that a registration says it is from; undefined where it says none. */
function nameIn(body: unknown): string | undefined {
  if (typeof body !== 'object' || body === null || !('service' in body)) return undefined;
  return typeof body.service === 'string' ? body.service : undefined;
}
