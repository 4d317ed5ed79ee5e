/** What has to be read of an entity before its lane can go on. */
export type LaneNeed =
  /** Its head, once the read model has this revision: its owner is ahead of what the device may be shown. */
  | { readonly what: 'head'; readonly revision: number }
  /** What the ledger knows beyond the read model. */
  | { readonly what: 'ledger' }
  /** What it was before it was deleted, as it stands in the read model at this revision (ADR 0028). */
  | { readonly what: 'deleted'; readonly revision: number };
