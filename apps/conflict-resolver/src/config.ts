import { type ConfigOf, FAULT_INJECTION_OPTION, SERVICE_OPTIONS, readConfig } from '@sync/service-kit';

/** Everything that can be set from outside. */
const OPTIONS = {
  ...SERVICE_OPTIONS,
  aiBaseUrl: {
    env: 'AI_BASE_URL',
    type: 'string',
    optional: true,
    desc: 'OpenAI-compatible endpoint up to /chat/completions; not set: no tenant can have AI suggestions',
  },
  aiApiKey: { env: 'AI_API_KEY', type: 'string', optional: true, desc: 'bearer token of that endpoint' },
  aiModel: { env: 'AI_MODEL', type: 'string', optional: true, desc: 'model to ask there' },
  aiParameters: {
    env: 'AI_PARAMETERS',
    type: 'string',
    default: '{"temperature":0,"max_tokens":1024}',
    desc: 'JSON object of sampling parameters; the limit of tokens is what budgets reserve for an answer',
  },
  aiTimeoutMs: {
    env: 'AI_TIMEOUT_MS',
    type: 'int',
    default: 30_000,
    min: 100,
    max: 300_000,
    desc: 'how long one attempt at the endpoint may take, its body included',
  },
  aiPromptMicrosPer1k: {
    env: 'AI_PROMPT_MICROS_PER_1K',
    type: 'int',
    default: 0,
    desc: 'price of 1,000 tokens of a question, in millionths of a currency unit',
  },
  aiOutputMicrosPer1k: {
    env: 'AI_OUTPUT_MICROS_PER_1K',
    type: 'int',
    default: 0,
    desc: 'price of 1,000 tokens of an answer, in millionths of a currency unit',
  },
  aiParallel: {
    env: 'AI_PARALLEL',
    type: 'int',
    default: 2,
    min: 1,
    max: 64,
    desc: 'questions that one replica asks at once',
  },
  faultInjection: FAULT_INJECTION_OPTION,
} as const;

export type ResolverConfig = ConfigOf<typeof OPTIONS>;

/** @throws ConfigError naming every missing or malformed variable */
export function readResolverConfig(env: Readonly<Record<string, string | undefined>>): ResolverConfig {
  return readConfig(OPTIONS, env);
}
