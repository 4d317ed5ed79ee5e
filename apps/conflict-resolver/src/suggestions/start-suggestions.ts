import type { NatsConnection } from '@nats-io/transport-node';
import { Responder } from '@sync/messaging';
import type { Database, Tx } from '@sync/postgres';
import { subjects } from '@sync/protocol';
import type { Logger, Metrics } from '@sync/service-kit';
import type { AIConfig } from './ai-config.ts';
import { answerSuggestionRequest, answerSuggestionSettings } from './answer-suggestions.ts';
import { OpenAIClient } from './openai-client.ts';
import type { SuggestionContext } from './suggestion-context.ts';
import type { SuggestionSource } from './suggestion-source.ts';
import { SuggestionWorker } from './suggestion-worker.ts';
import { modelSuggestions } from './take-suggestion.ts';

export interface SuggestionsOptions {
  readonly queue: string;
  readonly database: Database;
  readonly nats: NatsConnection;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly ai: AIConfig | null;
  readonly announce: SuggestionContext['announce'];
  /** Sends what was announced. */
  readonly kick: () => void;
}

export interface RunningSuggestions {
  /** For those who resolve and show conflicts. */
  readonly source: SuggestionSource;
  stop(): Promise<void>;
}

/**
 * Answers requests for suggestions and makes them. Without an endpoint only the answers run: they say that
 * there are none.
 */
export function startSuggestions(options: SuggestionsOptions): RunningSuggestions {
  const { database, nats, logger, metrics, ai, queue } = options;
  let worker: SuggestionWorker | undefined;
  const context: SuggestionContext = {
    database,
    ai,
    logger,
    now: () => new Date(),
    announce: (tx: Tx, tenantId: string, conflictId: string) => options.announce(tx, tenantId, conflictId),
    committed: () => {
      options.kick();
      worker?.kick();
    },
  };
  if (ai) {
    const attempts = metrics.counter('sync_suggestion_attempts_total', 'Attempts to get a suggestion.', [
      'result',
    ]);
    worker = new SuggestionWorker(context, ai, new OpenAIClient(ai.endpoint), (result) => {
      attempts.inc({ result });
    });
    worker.start();
  }
  const responder = { nats, queue, logger };
  const responders = [
    new Responder({
      ...responder,
      subject: subjects.suggestionRequest,
      handle: (body) => answerSuggestionRequest(context, body),
    }),
    new Responder({
      ...responder,
      subject: subjects.suggestionSettings,
      handle: (body) => answerSuggestionSettings(context, body),
    }),
  ];
  return {
    source: modelSuggestions,
    async stop() {
      await Promise.all(responders.map((one) => one.stop()));
      await worker?.stop();
    },
  };
}
