import type { JsonObject } from '@sync/domain';

/** One question to a language model. It has no tools and no memory: text goes in, text comes out. */
export interface AIQuestion {
  /** What the model is to do; ours alone. */
  readonly instructions: string;
  /** What it is to do it with: untrusted, delimited. */
  readonly material: string;
  /** JSON Schema that the answer has to match; the answer is checked again by whoever asked. */
  readonly answerSchema: JsonObject;
  /** Sampling parameters and the limit of answer tokens, sent as they are. */
  readonly parameters: JsonObject;
}

/** What was billed, as the provider counted it. */
export interface TokenUsage {
  readonly promptTokens: number;
  readonly outputTokens: number;
}

export interface AIAnswer {
  /** Untrusted text; supposed to be JSON. */
  readonly text: string;
  /** The model that answered, which may be another than the one asked for. */
  readonly model: string;
  /** The provider's name for the configuration behind it, where it gives one. */
  readonly version: string | null;
  readonly usage: TokenUsage | null;
}

/**
 * Why there is no answer. `timeout`: unknown whether it was carried out, and billed. `unavailable`: not
 * reached, or 5xx. `overloaded`: 429. `refused`: any other status, or the model declined. `answer_malformed`:
 * not what this API answers. `answer_too_large`: beyond the cap of bytes. `answer_truncated`: the model ran
 * into its limit of tokens.
 */
export type AIFailureCode =
  | 'timeout'
  | 'unavailable'
  | 'overloaded'
  | 'refused'
  | 'answer_malformed'
  | 'answer_too_large'
  | 'answer_truncated';

export class AIClientError extends Error {
  override readonly name = 'AIClientError';
  readonly code: AIFailureCode;
  /** What it cost: `null` when that is unknown, zero when nothing was carried out. */
  readonly usage: TokenUsage | null;

  /** @param message for logs; holds neither a key nor any of the texts that were sent or answered */
  constructor(code: AIFailureCode, message: string, usage: TokenUsage | null = null) {
    super(message);
    this.code = code;
    this.usage = usage;
  }
}

/** The boundary to language models; implemented by the OpenAI-compatible adapter. */
export interface AIClient {
  /**
   * @param signal ends the call, at a drain
   * @throws AIClientError
   */
  complete(question: AIQuestion, signal: AbortSignal): Promise<AIAnswer>;
}
