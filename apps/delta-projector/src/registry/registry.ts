import { request } from '@sync/messaging';
import type { Database } from '@sync/postgres';
import {
  RegistryListReply,
  type RegistryListRequest,
  subjects,
  validator,
  type RegisteredEntityType,
} from '@sync/protocol';
import type { Logger } from '@sync/service-kit';
import type { NatsConnection, Subscription } from '@nats-io/transport-node';
import { projectedType, type EntityTypes, type ProjectedType } from '../projection/projected-type.ts';
import { readRegistrations, saveRegistrations } from './registration-store.ts';

export interface RegistryOptions {
  readonly database: Pick<Database, 'call'>;
  readonly nats: NatsConnection;
  readonly logger: Logger;
  /** Called after entity types appeared or changed. Must not throw. */
  readonly onChanged?: () => void;
}

const LIST_TIMEOUT_MS = 2_000;
const REFRESH_MS = 30_000;
/** Until the gateway has answered once. */
const FIRST_RETRY_MS = 1_000;
/** A stream of events of a type that nobody registers must not become a stream of requests. */
const LOOK_AGAIN_MS = 5_000;

const checkList = validator(RegistryListReply);

/**
 * All registered entity types, in memory. The gateway owns them; here is a copy in our own database, so that
 * projection goes on (and starts) without it. It is asked at start, on every notice that something changed,
 * every 30 s, and when an event's type is unknown.
 *
 * Types are added and replaced but never removed because a list lacks them: a gateway that has just lost its
 * database answers with an empty list, and forgetting would send all events of every type to the dead
 * letters.
 */
export class Registry implements EntityTypes {
  readonly #options: RegistryOptions;
  readonly #types = new Map<string, ProjectedType>();
  readonly #lookedForAtMs = new Map<string, number>();
  #refreshing: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #notices: Subscription | undefined;
  #timer: NodeJS.Timeout | undefined;
  #hasList = false;
  #stopped = false;

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  get(entityType: string): ProjectedType | undefined {
    return this.#types.get(entityType);
  }

  /** Every entity type, in no particular order. */
  all(): readonly ProjectedType[] {
    return [...this.#types.values()];
  }

  /** Reads the own copy, then asks the gateway in the background. @throws the database's error */
  async start(): Promise<void> {
    const { database, nats } = this.#options;
    this.#adopt(await readRegistrations(database));
    this.#notices = nats.subscribe(subjects.registryChanged, { callback: () => void this.refresh() });
    this.#schedule(0);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    if (this.#notices?.isClosed() === false) this.#notices.unsubscribe();
    await this.#refreshing;
  }

  async lookFor(entityTypes: ReadonlySet<string>): Promise<void> {
    const now = Date.now();
    const due = [...entityTypes].filter((type) => now - (this.#lookedForAtMs.get(type) ?? 0) > LOOK_AGAIN_MS);
    if (due.length === 0) return;
    // Names come from outside; what matters is only the last few seconds of them.
    if (this.#lookedForAtMs.size > 10_000) this.#lookedForAtMs.clear();
    for (const type of due) this.#lookedForAtMs.set(type, now);
    await this.refresh();
  }

  /** Asks the gateway; everybody who comes while it is being asked shares the next question. Never throws. */
  async refresh(): Promise<void> {
    if (this.#refreshing === undefined) {
      this.#refreshing = this.#ask().finally(() => (this.#refreshing = undefined));
      return this.#refreshing;
    }
    // The answer under way may be older than what the caller was told about.
    this.#next ??= this.#refreshing.then(() => {
      this.#next = undefined;
      return this.refresh();
    });
    return this.#next;
  }

  #schedule(delayMs: number): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => {
      void this.refresh().then(() => {
        this.#schedule(this.#hasList ? REFRESH_MS : FIRST_RETRY_MS);
      });
    }, delayMs);
    this.#timer.unref();
  }

  async #ask(): Promise<void> {
    const { nats, database, logger, onChanged } = this.#options;
    try {
      const options = { timeoutMs: LIST_TIMEOUT_MS, decode: decodeList };
      const registrations: RegistryListReply['registrations'] = [];
      for (let after: string | null = ''; after !== null;) {
        const body: RegistryListRequest = after === '' ? {} : { after };
        const page: RegistryListReply = await request(nats, subjects.registryList, body, options);
        registrations.push(...page.registrations);
        after = page.next ?? null;
      }
      const listed = registrations.flatMap(({ service, entityTypes }) =>
        entityTypes.map((type): RegisteredEntityType => ({ ...type, service })),
      );
      this.#hasList = true;
      const changed = listed.filter((type) => this.#differs(type));
      if (changed.length === 0) return;
      // Saved first: what failed to be saved is still different at the next question.
      await saveRegistrations(database, changed, new Date());
      this.#adopt(changed);
      logger.info({ entityTypes: changed.map(({ entityType }) => entityType) }, 'entity types changed');
      onChanged?.();
    } catch (error) {
      const fields = { err: error, known: this.#types.size };
      logger.debug(fields, 'the gateway does not list the registrations, working from the own copy');
    }
  }

  #adopt(types: readonly RegisteredEntityType[]): void {
    for (const type of types) this.#types.set(type.entityType, projectedType(type));
  }

  #differs(type: RegisteredEntityType): boolean {
    const known = this.#types.get(type.entityType)?.registration;
    return known === undefined || JSON.stringify(sorted(known)) !== JSON.stringify(sorted(type));
  }
}

function decodeList(value: unknown): RegistryListReply {
  const checked = checkList(value);
  if (checked.ok) return checked.value;
  throw new TypeError(checked.faults.map(({ path, message }) => `${path} ${message}`).join('; '));
}

/** Key order on the top level is all that differs between the copy and the list. */
function sorted(type: RegisteredEntityType): [string, unknown][] {
  return Object.entries(type).sort(([a], [b]) => (a < b ? -1 : 1));
}
