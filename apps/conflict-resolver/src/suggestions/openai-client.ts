import { setTimeout as sleep } from 'node:timers/promises';
import { backoffMs, readJson } from '@sync/domain';
import { validator } from '@sync/protocol';
import Type, { type Static } from 'typebox';
import {
  type AIAnswer,
  type AIClient,
  AIClientError,
  type AIQuestion,
  type TokenUsage,
} from './ai-client.ts';
import { BodyTooLargeError, readBoundedText } from './read-bounded-text.ts';
import { retryAfterMs } from './retry-after.ts';

export interface OpenAIOptions {
  /**
   * Up to and without `/chat/completions`, such as `https://api.example.com/v1` or
   * `http://127.0.0.1:11434/v1`.
   */
  readonly baseUrl: string;
  /** Empty for endpoints that ask for none. */
  readonly apiKey: string;
  readonly model: string;
  /** Of one attempt, until the last byte of its body. */
  readonly timeoutMs: number;
  /** Attempts in all; only 429 and 503 are repeated. */
  readonly attempts: number;
  /**
   * A longer `Retry-After` than this ends the call: the job comes back later and holds no place meanwhile.
   */
  readonly maxPauseMs: number;
  readonly maxAnswerBytes: number;
}

const NOTHING_BILLED: TokenUsage = { promptTokens: 0, outputTokens: 0 };
const PAUSE_MS = 500;

const Completion = Type.Object({
  model: Type.String({ maxLength: 200 }),
  system_fingerprint: Type.Optional(Type.Union([Type.String({ maxLength: 200 }), Type.Null()])),
  choices: Type.Array(
    Type.Object({
      finish_reason: Type.Optional(Type.Union([Type.String(), Type.Null()])),
      message: Type.Object({
        content: Type.Union([Type.String(), Type.Null()]),
        refusal: Type.Optional(Type.Union([Type.String(), Type.Null()])),
      }),
    }),
    { minItems: 1 },
  ),
  usage: Type.Optional(
    Type.Union([
      Type.Null(),
      Type.Object({
        prompt_tokens: Type.Integer({ minimum: 0, maximum: 1e9 }),
        completion_tokens: Type.Integer({ minimum: 0, maximum: 1e9 }),
      }),
    ]),
  ),
});
const checkCompletion = validator(Completion);

/**
 * Chat completions over HTTP as OpenAI defined them and most hosted and local servers speak them: `POST
 * <base>/chat/completions` with `response_format: json_schema`. No tool is ever offered, so the only thing a
 * model can do is answer text.
 *
 * Redirects are refused: they would carry the texts, and possibly the key, to a place that nobody configured.
 */
export class OpenAIClient implements AIClient {
  readonly #options: OpenAIOptions;
  readonly #url: URL;

  /** @throws TypeError when the base URL is none, or is not http(s) */
  constructor(options: OpenAIOptions) {
    this.#options = options;
    this.#url = new URL(`${options.baseUrl.replace(/\/+$/, '')}/chat/completions`);
    if (!/^https?:$/.test(this.#url.protocol) || this.#url.username !== '' || this.#url.password !== '') {
      throw new TypeError('The AI base URL must be http(s) and hold no credentials');
    }
  }

  async complete(question: AIQuestion, signal: AbortSignal): Promise<AIAnswer> {
    const body = JSON.stringify(this.#bodyOf(question));
    for (let attempt = 1; ; attempt += 1) {
      const response = await this.#send(body, signal);
      if (!('pauseMs' in response)) return response;
      const { pauseMs, error } = response;
      const { attempts, maxPauseMs } = this.#options;
      if (attempt >= attempts || pauseMs > maxPauseMs) throw error;
      const ownPauseMs = backoffMs(attempt, { baseMs: PAUSE_MS, capMs: maxPauseMs }, Math.random());
      await sleep(Math.max(pauseMs, ownPauseMs), undefined, { signal }).catch(() => {
        throw error;
      });
    }
  }

  #bodyOf({ instructions, material, answerSchema, parameters }: AIQuestion): object {
    return {
      ...parameters,
      model: this.#options.model,
      messages: [
        { role: 'system', content: instructions },
        { role: 'user', content: material },
      ],
      response_format: {
        type: 'json_schema',
        json_schema: { name: 'merge_suggestion', strict: true, schema: answerSchema },
      },
    };
  }

  async #send(body: string, signal: AbortSignal): Promise<AIAnswer | Repeatable> {
    const { apiKey, timeoutMs, maxAnswerBytes } = this.#options;
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      const response = await fetch(this.#url, {
        method: 'POST',
        redirect: 'manual',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json',
          ...(apiKey === '' ? {} : { authorization: `Bearer ${apiKey}` }),
        },
        body,
        signal: AbortSignal.any([signal, timeout]),
      });
      if (response.status !== 200) {
        // Error bodies may repeat what was sent; nothing of them is read, logged or stored.
        await response.body?.cancel();
        return refusal(response);
      }
      return readCompletion(await readBoundedText(response, maxAnswerBytes));
    } catch (error) {
      if (error instanceof AIClientError) throw error;
      if (timeout.aborted) throw new AIClientError('timeout', `no complete answer within ${timeoutMs} ms`);
      throw translate(error);
    }
  }
}

/** An attempt that failed in a way that may pass. */
interface Repeatable {
  readonly pauseMs: number;
  readonly error: AIClientError;
}

function refusal(response: Response): Repeatable {
  const { status } = response;
  if (status !== 429 && status < 500) {
    throw new AIClientError('refused', `the endpoint answered ${status}`, NOTHING_BILLED);
  }
  // What answers 500, 502 or 504 may be a proxy in front of a model that goes on thinking: it may be billed,
  // and a repetition again.
  if (status !== 429 && status !== 503) {
    throw new AIClientError('unavailable', `the endpoint answered ${status}`);
  }
  const code = status === 429 ? 'overloaded' : 'unavailable';
  return {
    pauseMs: retryAfterMs(response.headers.get('retry-after'), Date.now()) ?? 0,
    error: new AIClientError(code, `the endpoint answered ${status}`, NOTHING_BILLED),
  };
}

/**
 * What is kept of an error of the connection is its code: its message may hold the URL, its cause the
 * request.
 */
function translate(error: unknown): AIClientError {
  if (error instanceof BodyTooLargeError) return new AIClientError('answer_too_large', error.message);
  const { code, cause } = error as { readonly code?: unknown; readonly cause?: { readonly code?: unknown } };
  if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') {
    return new AIClientError('answer_malformed', 'the answer is no UTF-8');
  }
  // undici's `fetch failed` has the socket's error as its cause.
  const reason = cause?.code ?? code;
  const detail = typeof reason === 'string' ? reason : 'connection failed';
  const neverSent = detail === 'ECONNREFUSED' || detail === 'ENOTFOUND';
  return new AIClientError('unavailable', detail, neverSent ? NOTHING_BILLED : null);
}

function readCompletion(text: string): AIAnswer {
  const checked = checkCompletion(parseOrNull(text));
  if (!checked.ok) {
    throw new AIClientError('answer_malformed', `no chat completion: ${checked.faults[0]?.path ?? ''}`);
  }
  const { model, system_fingerprint: version = null, choices } = checked.value;
  const usage = usageOf(checked.value);
  const [choice] = choices;
  if (choice?.message.refusal) throw new AIClientError('refused', 'the model declined', usage);
  if (choice?.finish_reason === 'length') {
    throw new AIClientError('answer_truncated', 'the limit of tokens was reached', usage);
  }
  if (choice?.finish_reason === 'content_filter') {
    throw new AIClientError('refused', 'filtered by the provider', usage);
  }
  const content = choice?.message.content ?? null;
  if (content === null) throw new AIClientError('answer_malformed', 'the message has no text', usage);
  return { text: content, model, version, usage };
}

function usageOf({ usage }: Static<typeof Completion>): TokenUsage | null {
  return usage ? { promptTokens: usage.prompt_tokens, outputTokens: usage.completion_tokens } : null;
}

function parseOrNull(text: string): unknown {
  try {
    return readJson(text);
  } catch {
    return null;
  }
}
