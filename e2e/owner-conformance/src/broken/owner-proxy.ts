import { type Msg, type MsgHdrs, type NatsConnection, headers } from '@nats-io/transport-node';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectNats } from '@sync/messaging';
import {
  type DomainEvent,
  type OwnerPushReply,
  type OwnerPushRequest,
  type SnapshotPage,
  type SnapshotRequest,
  subjects,
} from '@sync/protocol';

/** Makes something of what the service answers; `forward` asks it, as often as it is called. */
export type OnPush = (
  request: OwnerPushRequest,
  forward: (request: OwnerPushRequest) => Promise<OwnerPushReply>,
  proxy: OwnerProxy,
) => Promise<OwnerPushReply>;

/** What is broken of an owning service. What is left out is as it should be. */
export interface OwnerDistortion {
  readonly push?: OnPush;
  readonly page?: (page: SnapshotPage, request: SnapshotRequest) => SnapshotPage;
  /** What is published in place of an event of the service. */
  readonly events?: (event: DomainEvent) => readonly unknown[];
  /** Numbers the messages, as services on the SDK do; what it is given counts from 1. */
  readonly numbers?: (place: number) => number;
  /** What a request is answered that the service refuses to read; null: nothing. */
  readonly refusal?: (text: string) => string | null;
}

interface Names {
  /** What the proxy is called. */
  readonly service: string;
  /** What the service behind it is called. */
  readonly behind: string;
  readonly entityType: string;
}

const FORWARD_LIMIT_MS = 10_000;
const LOOK_LIMIT_MS = 5_000;

/**
 * An owning service that breaks the protocol: a proxy on the subjects of its own name before a service that
 * keeps it, of the same entity types.
 */
export class OwnerProxy {
  /** How much was not the service’s own. */
  distorted = 0;
  readonly errors: unknown[] = [];
  readonly #nats: NatsConnection;
  readonly #distortion: OwnerDistortion;
  readonly #names: Names;
  #numbered = 0;
  #look = Promise.withResolvers<undefined>();

  private constructor(nats: NatsConnection, names: Names, distortion: OwnerDistortion) {
    this.#nats = nats;
    this.#names = names;
    this.#distortion = distortion;
  }

  static async start(url: string, names: Names, distortion: OwnerDistortion): Promise<OwnerProxy> {
    const proxy = new OwnerProxy(await connectNats({ url, name: names.service }), names, distortion);
    const { service, behind, entityType } = names;
    proxy.#serve(subjects.push(service, entityType), (text) => proxy.#push(text));
    proxy.#serve(subjects.snapshot(service, entityType), (text) => proxy.#snapshot(text));
    proxy.#nats.subscribe(subjects.plainEvents(behind, entityType), {
      callback: (_error, message) => proxy.#tell(message),
    });
    await proxy.#nats.flush();
    return proxy;
  }

  stop(): Promise<void> {
    return this.#nats.close();
  }

  /** Tells of something that the service behind has not told. */
  publish(event: unknown): void {
    this.distorted += 1;
    this.#publish(event);
  }

  /** Until somebody has looked at a snapshot, or nobody does. */
  awaitLook(): Promise<undefined> {
    return Promise.race([this.#look.promise, sleep(LOOK_LIMIT_MS, undefined, { ref: false })]);
  }

  #serve(subject: string, answer: (text: string) => Promise<string | null>): void {
    const callback = (_error: unknown, message: Msg): void => {
      answer(message.string()).then(
        (text) => text !== null && message.respond(text),
        (error: unknown) => this.errors.push(error),
      );
    };
    this.#nats.subscribe(subject, { callback });
  }

  async #push(text: string): Promise<string | null> {
    const { push, refusal } = this.#distortion;
    const { behind, entityType } = this.#names;
    const ask = async (body: string): Promise<string> =>
      (
        await this.#nats.request(subjects.push(behind, entityType), body, { timeout: FORWARD_LIMIT_MS })
      ).string();
    const request = jsonOf<OwnerPushRequest>(text);
    const isReadable =
      Array.isArray(request?.mutations) && request.mutations.every((one) => one.entityType === entityType);
    if (!isReadable) {
      const answer = await ask(text);
      if (!refusal) return answer;
      this.distorted += 1;
      return refusal(answer);
    }
    if (!push) return ask(text);
    const passed: string[] = [text];
    const reply = await push(
      request,
      async (body) => {
        const told = await ask(JSON.stringify(body));
        passed.push(JSON.stringify(body), told);
        return JSON.parse(told) as OwnerPushReply;
      },
      this,
    );
    const answer = JSON.stringify(reply);
    // Honest: the request went on as it came, once, and so did its answer.
    const [sent, forwarded, told, ...more] = passed;
    if (forwarded !== sent || answer !== told || more.length > 0) this.distorted += 1;
    return answer;
  }

  async #snapshot(text: string): Promise<string> {
    const { behind, entityType } = this.#names;
    const subject = subjects.snapshot(behind, entityType);
    const answer = (await this.#nats.request(subject, text, { timeout: FORWARD_LIMIT_MS })).string();
    // Whoever waits for a look goes on when the look has its answer.
    setTimeout(() => this.#look.resolve(undefined), 0);
    const page = jsonOf<SnapshotPage>(answer);
    const { page: change } = this.#distortion;
    if (!change || !page?.entities) return answer;
    const changed = JSON.stringify(change(page, JSON.parse(text) as SnapshotRequest));
    if (changed !== JSON.stringify(page)) this.distorted += 1;
    return changed;
  }

  #tell(message: Msg): void {
    const event = message.json<DomainEvent>();
    const told = this.#distortion.events?.(event) ?? [event];
    if (JSON.stringify(told) !== JSON.stringify([event])) this.distorted += 1;
    for (const one of told) this.#publish(one);
  }

  #publish(event: unknown): void {
    const { service, entityType } = this.#names;
    const { numbers } = this.#distortion;
    if (!numbers) {
      this.#nats.publish(subjects.plainEvents(service, entityType), JSON.stringify(event));
      return;
    }
    this.#numbered += 1;
    const number = numbers(this.#numbered);
    if (number !== this.#numbered) this.distorted += 1;
    const options = { headers: numbered(service, number) };
    this.#nats.publish(subjects.streamMessage('DOMAIN_EVENTS', 0, service), JSON.stringify([event]), options);
  }
}

function numbered(producer: string, number: number): MsgHdrs {
  const told = headers();
  told.set('sync-producer', producer);
  told.set('sync-epoch', 'one');
  told.set('sync-number', String(number));
  return told;
}

function jsonOf<T>(text: string): T | null {
  try {
    return JSON.parse(text) as T;
  } catch {
    return null;
  }
}
