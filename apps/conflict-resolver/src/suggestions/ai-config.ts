import { type JsonObject, type JsonValue, isJsonObject, readJson } from '@sync/domain';
import { ConfigError } from '@sync/service-kit';
import type { ResolverConfig } from '../config.ts';
import type { Prices } from './budget.ts';
import type { OpenAIOptions } from './openai-client.ts';

/** A configured endpoint: what to ask, what it costs, and with which parameters. */
export interface AIConfig {
  readonly endpoint: OpenAIOptions;
  readonly prices: Prices;
  readonly parameters: JsonObject;
  /** Questions that one replica asks at once. */
  readonly parallel: number;
}

const ATTEMPTS = 3;
/** Longer pauses are left to the job, which holds no place while it waits. */
const MAX_PAUSE_MS = 5_000;
const MAX_ANSWER_BYTES = 262_144;

/**
 * Of sampling and limits only: `tools`, `stream`, `n` or `messages` would change what an answer can do or
 * cost.
 */
const ALLOWED_PARAMETERS = new Set([
  'temperature',
  'top_p',
  'seed',
  'max_tokens',
  'max_completion_tokens',
  'reasoning_effort',
]);

/**
 * @returns null when no endpoint is configured: then no tenant can have suggestions
 * @throws ConfigError
 */
export function readAIConfig(config: ResolverConfig): AIConfig | null {
  if (config.aiBaseUrl === '') return null;
  if (config.aiModel === '') {
    throw new ConfigError(['AI_MODEL is not set (AI_BASE_URL is: which model answers there?)']);
  }
  return {
    endpoint: {
      baseUrl: config.aiBaseUrl,
      apiKey: config.aiApiKey,
      model: config.aiModel,
      timeoutMs: config.aiTimeoutMs,
      attempts: ATTEMPTS,
      maxPauseMs: MAX_PAUSE_MS,
      maxAnswerBytes: MAX_ANSWER_BYTES,
    },
    prices: {
      promptMicrosPer1k: config.aiPromptMicrosPer1k,
      outputMicrosPer1k: config.aiOutputMicrosPer1k,
    },
    parameters: readParameters(config.aiParameters),
    parallel: config.aiParallel,
  };
}

function readParameters(text: string): JsonObject {
  const parameters = parseOrNull(text);
  if (!isJsonObject(parameters)) throw new ConfigError(['AI_PARAMETERS is no JSON object']);
  const unknown = Object.keys(parameters).filter((name) => !ALLOWED_PARAMETERS.has(name));
  if (unknown.length > 0) {
    throw new ConfigError([`AI_PARAMETERS may not set ${unknown.join(', ')}`]);
  }
  const limits = [parameters['max_tokens'], parameters['max_completion_tokens']].filter(
    (limit) => typeof limit === 'number' && Number.isSafeInteger(limit) && limit > 0,
  );
  if (limits.length !== 1) {
    throw new ConfigError([
      'AI_PARAMETERS needs max_tokens or max_completion_tokens: budgets reserve that much for every answer',
    ]);
  }
  return parameters;
}

function parseOrNull(text: string): JsonValue {
  try {
    return readJson(text) as JsonValue;
  } catch {
    return null;
  }
}
