/** The body was larger than the reader allows; reading stopped there. */
export class BodyTooLargeError extends Error {
  override readonly name = 'BodyTooLargeError';
}

/**
 * Reads a response body as UTF-8 and never holds more than `maxBytes` of it; `response.text()` would hold
 * all. The announced length is not believed: it may be absent, wrong, or that of a compressed body.
 *
 * @throws BodyTooLargeError, TypeError for bytes that are no UTF-8, or what the connection throws
 */
export async function readBoundedText(response: Response, maxBytes: number): Promise<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let bytes = 0;
  let text = '';
  // Leaving the loop by an exception cancels the stream and with it the connection.
  for await (const chunk of response.body ?? []) {
    const part = chunk as Uint8Array;
    bytes += part.length;
    if (bytes > maxBytes) throw new BodyTooLargeError(`the body has more than ${maxBytes} bytes`);
    text += decoder.decode(part, { stream: true });
  }
  return text + decoder.decode();
}
