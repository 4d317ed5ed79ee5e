import type { JsonValue } from '@sync/domain';

/** One conflicting place and its three values; a side without a value there has no property. */
export interface ContestedField {
  readonly field: string;
  readonly base?: JsonValue;
  /** The server's value now. */
  readonly ours?: JsonValue;
  /** The device's value. */
  readonly theirs?: JsonValue;
  /** Of a line of a document: what the merge made of both, which is what stands there. */
  readonly merged?: string;
}
