import { MalformedReplyError, MessageTooLargeError, RemoteError } from '@sync/messaging';

/** The owner is there, or was not asked: refusing one request says nothing about the next. */
export function answered(error: unknown): boolean {
  if (error instanceof MessageTooLargeError) return true;
  return error instanceof RemoteError && error.code !== 'unavailable' && error.code !== 'overloaded';
}

/**
 * It answered, but with an error of its own or nothing that is an answer; being away, silent or busy is none.
 * Only then something can be learnt by asking it about each mutation, or each push, alone.
 */
export function blamesTheRequest(error: unknown): boolean {
  return answered(error) || error instanceof MalformedReplyError;
}
