import { describe, expect, it } from '@jest/globals';
import {
  MalformedReplyError,
  MessageTooLargeError,
  NoRespondersError,
  RemoteError,
  RequestTimeoutError,
  wasUntouched,
} from './request-reply.ts';

describe('a request that failed', () => {
  it.each([
    new NoRespondersError('nobody'),
    new MessageTooLargeError('too large'),
    new RemoteError('overloaded', 'busy'),
    new RemoteError('schema_invalid', '/mutations'),
    new RemoteError('malformed', 'no JSON'),
  ])('was certainly not carried out after $name: $message', (error) => {
    expect(wasUntouched(error)).toBe(true);
  });

  it.each([
    new RequestTimeoutError('late'),
    new MalformedReplyError('no JSON'),
    new RemoteError('unavailable', 'Postgres is away'),
    new RemoteError('internal', 'unexpected'),
    new Error('closed'),
  ])('may have been carried out after $name: $message', (error) => {
    expect(wasUntouched(error)).toBe(false);
  });
});
