import type { Msg, NatsConnection } from '@nats-io/transport-node';
import { type DomainEvent, subjects } from '@sync/protocol';

/** One event as it came: nothing of it is checked yet. */
export interface SeenEvent {
  readonly subject: string;
  readonly event: Partial<DomainEvent>;
}

/** The number of a message of a service on the SDK. */
export interface SeenNumber {
  readonly partition: string;
  readonly producer: string;
  readonly epoch: string;
  readonly number: number;
}

const CLOUD_EVENTS_PREFIX = 'ce-';
const WHOLE_NUMBERS = ['revision', 'schemaversion'];

/** Every event that is published while a check runs, in the order in which it was. */
export class EventLog {
  readonly seen: SeenEvent[] = [];
  readonly numbers: SeenNumber[] = [];
  /** Messages that hold no event at all, as text. */
  readonly unreadable: string[] = [];
  /** Called with each event before the next one is read. */
  onEvent: (seen: SeenEvent) => void = () => undefined;

  /** @param others where the service publishes beside the subjects that are its own by its name */
  constructor(nats: NatsConnection, service: string, others: readonly string[]) {
    const numbered = subjects.streamMessage('DOMAIN_EVENTS', '*', service);
    for (const subject of [numbered, subjects.plainEvents(service, '*'), ...others]) {
      nats.subscribe(subject, {
        callback: (error, message) => {
          if (error === null) this.#read(message);
          else this.unreadable.push(error.message);
        },
      });
    }
  }

  #read(message: Msg): void {
    const { subject } = message;
    const number = numberOf(message);
    if (number) this.numbers.push(number);
    try {
      for (const event of eventsOf(message)) {
        const seen = { subject, event };
        this.seen.push(seen);
        this.onEvent(seen);
      }
    } catch {
      this.unreadable.push(`${subject}: ${message.string().slice(0, 200)}`);
    }
  }
}

/** A batch of the SDK, one event in structured mode, or one in binary mode with its attributes in headers. */
function eventsOf(message: Msg): Partial<DomainEvent>[] {
  const attributes = attributesOf(message);
  if (attributes) return [{ ...attributes, data: message.data.length === 0 ? null : message.json() }];
  const value: unknown = message.json();
  const list = Array.isArray(value) ? (value as unknown[]) : [value];
  if (list.some((event) => typeof event !== 'object' || event === null)) throw new Error('no event');
  return list as Partial<DomainEvent>[];
}

function attributesOf({ headers }: Msg): Record<string, unknown> | null {
  const attributes: Record<string, unknown> = {};
  for (const key of headers?.keys() ?? []) {
    const name = key.toLowerCase();
    if (!name.startsWith(CLOUD_EVENTS_PREFIX)) continue;
    const attribute = name.slice(CLOUD_EVENTS_PREFIX.length);
    const value = headers?.get(key) ?? '';
    attributes[attribute] = WHOLE_NUMBERS.includes(attribute) ? Number(value) : value;
  }
  return 'specversion' in attributes ? attributes : null;
}

function numberOf({ subject, headers }: Msg): SeenNumber | null {
  const [producer = '', epoch = '', number = ''] = ['producer', 'epoch', 'number'].map((name) =>
    headers?.get(`sync-${name}`),
  );
  const partition = subject.split('.')[3] ?? '';
  return producer === '' ? null : { partition, producer, epoch, number: Number(number) };
}
