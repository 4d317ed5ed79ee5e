import type { Outcome } from '@sync/protocol';
import type { Failure } from './net/transport.ts';

/** The code of a {@link SyncError}, where each is explained. */
export type SyncErrorCode =
  | 'entity_type_unknown'
  | 'upcasters_invalid'
  | 'entity_unknown'
  | 'scope_unknown'
  | 'data_invalid'
  | 'data_too_large'
  | 'other_device'
  | 'not_applied'
  | 'device_revoked'
  | 'closed'
  | 'request_failed';

interface Details extends ErrorOptions {
  readonly outcome?: Outcome | null;
  readonly failure?: Failure;
}

/**
 * What the app did or met, with what helps.
 *
 * | code                  | what helps                                                             |
 * | --------------------- | ---------------------------------------------------------------------- |
 * | `entity_type_unknown` | name the type in `entities` of `createSyncClient`                      |
 * | `upcasters_invalid`   | correct `upcasters` of the entity type as the message says             |
 * | `entity_unknown`      | put the entity first, or wait until it was pulled                      |
 * | `scope_unknown`       | say in which scope, in the call or in `entities`                       |
 * | `data_invalid`        | correct what `cause` or the message names                              |
 * | `data_too_large`      | shorten it, or keep large content elsewhere and its address here       |
 * | `other_device`        | use another store for each user and device, or clear this one          |
 * | `not_applied`         | show `outcome`: its code says why, its conflict keeps what was written |
 * | `device_revoked`      | bind the device anew, and `start`; nothing is stored until then        |
 * | `closed`              | create another client                                                  |
 * | `request_failed`      | see `failure`: try again later where its kind is not `refused`         |
 */
export class SyncError extends Error {
  readonly code: SyncErrorCode;
  /** Of `not_applied`. */
  readonly outcome: Outcome | null;
  /** Of `request_failed`. */
  readonly failure: Failure | null;

  constructor(code: SyncErrorCode, message: string, { outcome, failure, ...options }: Details = {}) {
    super(message, options);
    this.name = 'SyncError';
    this.code = code;
    this.outcome = outcome ?? null;
    this.failure = failure ?? null;
  }
}
