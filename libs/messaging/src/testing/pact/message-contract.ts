import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { NatsConnection } from '@nats-io/transport-node';
import { PactV4 } from '@pact-foundation/pact';
import { Responder } from '../../request-reply.ts';

/** Where consumers write their contracts and providers find them. */
export const PACT_FOLDER = resolve(import.meta.dirname, '../../../../../e2e/contracts/pacts');

/** What one consumer expects of one provider. */
interface Expectation {
  /** The NATS subject: part of the contract, and first part of the interaction's description. */
  readonly subject: string;
  readonly what: string;
  /** What has to be the case at the provider before; its verification sees to it. */
  readonly given?: string;
}

export interface ContractedReply extends Expectation {
  readonly nats: NatsConnection;
  /** Exactly what the consumer sends. */
  readonly request: unknown;
  /** May hold matchers. */
  readonly reply: unknown;
}

export interface ContractedMessage extends Expectation {
  /** May hold matchers. */
  readonly contents: unknown;
}

/**
 * Starts the contract of a pair anew: Pact adds to the file that is there, so what is no longer expected
 * would stay for ever. Each pair is therefore written by one test file only.
 */
export function startContract(consumer: string, provider: string): PactV4 {
  rmSync(join(PACT_FOLDER, `${consumer}-${provider}.json`), { force: true });
  return new PactV4({ consumer, provider, dir: PACT_FOLDER, logLevel: 'warn' });
}

/** Records what a consumer expects over NATS, by running the consumer's own code against it. */
export class MessageContract {
  readonly #pact: PactV4;

  constructor(consumer: string, provider: string) {
    this.#pact = startContract(consumer, provider);
  }

  /**
   * @param ask the consumer's own code; it is answered with the reply's example
   * @throws when it asks anything but the contract's request
   */
  async reply<T>(expected: ContractedReply, ask: () => Promise<T>): Promise<T> {
    const interaction = this.#pact.addSynchronousInteraction(`${expected.subject}: ${expected.what}`);
    if (expected.given !== undefined) interaction.given(expected.given);
    const done = await interaction
      .withRequest((builder) => void builder.withJSONContent(expected.request))
      .withResponse((builder) => void builder.withJSONContent(expected.reply))
      .executeTest(async ({ Request, Response }) => {
        const asked: unknown[] = [];
        const responder = new Responder({
          nats: expected.nats,
          subject: expected.subject,
          queue: 'contract',
          logger: console,
          handle: (body) => {
            asked.push(body);
            return Promise.resolve(jsonOf(Response[0]?.content));
          },
        });
        await expected.nats.flush();
        const answer = await ask().finally(() => responder.stop());
        if (!isDeepStrictEqual(asked, [jsonOf(Request.content)])) {
          throw new Error(`the contract says otherwise: ${JSON.stringify(asked)}`);
        }
        return { answer };
      });
    if (!done) throw new Error('Pact did not run the test');
    return done.answer;
  }

  /** @param consume the consumer's own code; it is given the message's example, as JSON text */
  async message<T>(expected: ContractedMessage, consume: (payload: string) => T | Promise<T>): Promise<T> {
    const interaction = this.#pact.addAsynchronousInteraction();
    if (expected.given !== undefined) interaction.given(expected.given);
    const done = await interaction
      .expectsToReceive(`${expected.subject}: ${expected.what}`, (builder) => {
        builder.withJSONContent(expected.contents);
      })
      .executeTest(async ({ contents }) => {
        return { result: await consume(JSON.stringify(jsonOf(contents.content))) };
      });
    if (!done) throw new Error('Pact did not run the test');
    return done.result;
  }
}

/** Pact hands contents over as bytes or parsed, depending on their kind. */
function jsonOf(content: unknown): unknown {
  return Buffer.isBuffer(content) ? (JSON.parse(content.toString()) as unknown) : content;
}
