import { readJson } from '@sync/domain';

/** What came, before anybody has judged it. */
export interface ReceivedAnswer {
  readonly status: number;
  /** In lower case, without parameters. */
  readonly contentType: string;
  readonly retryAfter: string | null;
  readonly date: string | null;
  /** The JSON of the body; undefined when it is none. */
  readonly body: unknown;
  /** Why there is no body, in words. */
  readonly fault: string | null;
}

/** A redirect that was not followed shows nothing of itself in a browser. */
const REDIRECTED = 302;

/**
 * @param maxBytes of the body, inflated; the rest is not read
 * @returns what came; a body that is no JSON is `undefined`
 * @throws whatever reading throws: the line broke
 */
export async function readAnswer(response: Response, maxBytes: number): Promise<ReceivedAnswer> {
  const { headers } = response;
  const isElsewhere = response.type === 'opaqueredirect' || response.redirected;
  const status = isElsewhere ? REDIRECTED : response.status;
  const contentType = headers.get('content-type')?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  const fields = { status, contentType, retryAfter: headers.get('retry-after'), date: headers.get('date') };
  if (!/^application\/(problem\+)?json$/.test(contentType) || isElsewhere) {
    forget(response.body?.cancel());
    return { ...fields, body: undefined, fault: `no JSON but ${contentType || 'nothing'}` };
  }
  return { ...fields, ...parse(await readText(response, maxBytes)) };
}

type Read = Pick<ReceivedAnswer, 'body' | 'fault'>;

function parse(text: string | null): Read {
  if (text === null) return { body: undefined, fault: 'more than is taken, or not UTF-8' };
  try {
    return { body: readJson(text), fault: null };
  } catch {
    return { body: undefined, fault: 'JSON that cannot be read, or a part of it' };
  }
}

/** @returns null when there is more than `maxBytes`, or it is not UTF-8 */
async function readText(response: Response, maxBytes: number): Promise<string | null> {
  // React Native has no streams: the whole body is there when the fields are.
  const body = response.body as Response['body'] | undefined;
  if (!body) {
    const text = await response.text();
    return text.length > maxBytes ? null : text;
  }
  const reader = body.getReader();
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let bytes = 0;
  let text = '';
  for (;;) {
    const { done, value } = (await reader.read()) as { done: boolean; value?: Uint8Array };
    bytes += value?.length ?? 0;
    const part = bytes > maxBytes ? null : decode(decoder, value, !done);
    if (part === null) {
      forget(reader.cancel());
      return null;
    }
    text += part;
    if (done) return text;
  }
}

type Decoder = InstanceType<typeof TextDecoder>;

function decode(decoder: Decoder, value: Uint8Array | undefined, stream: boolean): string | null {
  try {
    return decoder.decode(value, { stream });
  } catch {
    return null;
  }
}

/** Nobody waits for the rest of an answer to be thrown away. */
function forget(work: Promise<unknown> | undefined): void {
  work?.catch(() => undefined);
}
