import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { ProblemError } from './problem-error.ts';

/** A socket of Node's HTTP server, as far as it says whether an answer has begun on it. */
type HttpSocket = Duplex & { readonly _httpMessage?: { readonly headersSent: boolean } | null };

/**
 * Answers with a problem document where there is no reply to answer with, on the bare socket, and ends the
 * connection. Where an answer has begun already it is cut off: two answers to one request would be worse.
 */
export function endWithProblem(socket: Duplex, problem: ProblemError): void {
  socket.on('error', () => socket.destroy());
  const answering = (socket as HttpSocket)._httpMessage?.headersSent === true;
  if (!socket.writable || answering) {
    socket.destroy();
    return;
  }
  const body = JSON.stringify(problem.toBody(Date.now()));
  const lines = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? 'Error'}`,
    'Content-Type: application/problem+json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `Date: ${new Date().toUTCString()}`,
    ...Object.entries(problem.options.headers ?? {}).map(([name, value]) => `${name}: ${value}`),
    'Connection: close',
  ];
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}

/** What Node's HTTP server says of a request that it could not read. */
export function problemOfClientError(error: NodeJS.ErrnoException): ProblemError {
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT')
    return new ProblemError('request_timeout', 'The request did not arrive in time');
  if (error.code === 'HPE_HEADER_OVERFLOW')
    return new ProblemError('headers_too_large', 'The fields of the request are too large');
  return new ProblemError('malformed_request', 'The request is not valid HTTP/1.1');
}
