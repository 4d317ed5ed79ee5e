import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Verifier } from '@pact-foundation/pact';
import type { NatsConnection } from '@nats-io/transport-node';
import { PACT_FOLDER } from '@sync/messaging/testing/pact';

interface Interaction {
  readonly type: 'Synchronous/HTTP' | 'Synchronous/Messages' | 'Asynchronous/Messages';
  readonly description: string;
}

/** Pact's “provider state values”: what a state puts into the open places of an interaction. */
type StateValues = Record<string, string>;

export interface Verification {
  readonly provider: string;
  readonly consumers: readonly string[];
  /** Sends a request of the contract to the provider. */
  readonly ask: (subject: string, content: unknown) => Promise<unknown>;
  /** What a contract takes for granted, made true. */
  readonly states?: Readonly<Record<string, () => Promise<StateValues | undefined>>>;
  /** Names that only the provider gives, in place of those in the contract; filled by states. */
  readonly standIns?: ReadonlyMap<string, string>;
  /**
   * Makes the provider publish what it publishes, by description without the subject; answers what was
   * published.
   */
  readonly publish?: (what: string) => Promise<unknown>;
  /** Of a provider that answers HTTP. */
  readonly baseUrl?: string;
}

const TIMEOUT_MS = 10_000;

/** What Pact found, interaction by interaction. */
export interface Verified {
  /** `<consumer>: <description>`, of those that hold. */
  readonly kept: readonly string[];
  /** The same of those that do not, with the reason. */
  readonly broken: readonly string[];
}

/** Holds a provider as it runs against what its consumers wrote down. */
export async function verifyProvider(verification: Verification): Promise<Verified> {
  const { provider, consumers, ask, states = {}, standIns = new Map(), publish, baseUrl } = verification;
  const files = consumers.map((consumer) => join(PACT_FOLDER, `${consumer}-${provider}.json`));
  const interactions = files.flatMap(interactionsIn);
  const messages = interactions.filter(({ type }) => type !== 'Synchronous/HTTP');
  const verifier = new Verifier({
    provider,
    pactUrls: files,
    logLevel: 'error',
    ...(baseUrl === undefined ? {} : { providerBaseUrl: baseUrl }),
    stateHandlers: Object.fromEntries(
      Object.entries(states).map(([name, handler]) => [name, () => handler() as Promise<StateValues>]),
    ),
    messageProviders: Object.fromEntries(
      messages.map(({ type, description }) => [
        description,
        (message: { readonly content?: unknown }) => {
          const { subject, what } = partsOf(description);
          if (type === 'Synchronous/Messages') return ask(subject, replaceNames(message.content, standIns));
          if (!publish) throw new Error(`nobody publishes "${what}"`);
          return publish(what);
        },
      ]),
    ),
  });
  // Both ways end with the same report as text: as the result, or as the message of the error.
  const report = await verifier.verifyProvider().catch((error: unknown) => {
    return error instanceof Error ? error.message : String(error);
  });
  return summarize(report);
}

function interactionsIn(file: string): readonly Interaction[] {
  const { interactions } = JSON.parse(readFileSync(file, 'utf8')) as { interactions: readonly Interaction[] };
  if (interactions.length === 0) throw new Error(`${file} expects nothing`);
  return interactions;
}

/** `<subject>: <what>`, as `MessageContract` writes it. */
function partsOf(description: string): { readonly subject: string; readonly what: string } {
  const [subject = '', ...what] = description.split(': ');
  return { subject, what: what.join(': ') };
}

/** Whole texts only, at any depth. */
function replaceNames(content: unknown, standIns: ReadonlyMap<string, string>): unknown {
  return JSON.parse(JSON.stringify(content), (_key, value: unknown) => {
    return typeof value === 'string' ? (standIns.get(value) ?? value) : value;
  }) as unknown;
}

interface Report {
  readonly interactionResults: readonly {
    readonly consumer: string;
    readonly description: string;
    readonly result: string;
    readonly mismatch?: unknown;
  }[];
}

function summarize(report: string): Verified {
  const { interactionResults } = JSON.parse(report) as Report;
  const kept: string[] = [];
  const broken: string[] = [];
  for (const { consumer, description, result, mismatch } of interactionResults) {
    if (result === 'OK') kept.push(`${consumer}: ${description}`);
    else broken.push(`${consumer}: ${description}: ${JSON.stringify(mismatch)}`);
  }
  return { kept, broken };
}

/** The usual `ask`: over NATS, to the service as it runs. */
export function askOver(nats: NatsConnection): Verification['ask'] {
  return async (subject, content) => {
    const reply = await nats.request(subject, JSON.stringify(content), { timeout: TIMEOUT_MS });
    return reply.json();
  };
}
