/**
 * Codes of outcomes that sync-service itself gives. Owning services add their own (`^[a-z][a-z0-9_]{0,63}$`).
 */
export const OUTCOME_CODES = {
  mutation_id_reused:
    'The same mutationId came with another change, or from another user. Send this one under a new ' +
    'mutationId.',
  mutation_invalid: 'The mutation does not match its schema; the message names the path.',
  entity_type_unknown: 'No service registered this entity type.',
  scope_not_held: 'The user does not hold the scope.',
  op_not_allowed: 'The policy of this entity type does not know this op.',
  append_only_violation: 'put, patch or delete on an append_only entity type.',
  schema_version_unknown:
    'The registration cannot read this schemaVersion, nor lift it to its own; the message names the one ' +
    'wanted.',
  clock_limit_exceeded: 'A counter of the entity’s clock cannot go higher.',
  server_changed: 'server_authoritative: the server’s value changed since the base.',
  dependency_cycle: 'dependsOn forms a circle.',
  entity_deleted: 'The entity was deleted before this device could see it, and nothing of it is left.',
  dependency_failed: 'A mutation that this one depends on was rejected.',
  forbidden: 'The user may not touch this entity.',
  data_invalid: 'The owning service does not accept this data; the message names the field.',
  owner_failed:
    'The owning service keeps failing at this mutation while it answers others. A ConflictRecord keeps it, ' +
    'open where it can still be carried out.',
  mutation_tampered:
    'It was changed where it waited, and is not carried out. Send it again under a new mutationId.',
  tag_invalid:
    'Its tag does not fit: it was changed after its device made it, or the tag was made in another way or for ' +
    'somebody else. Make it again under a new mutationId.',
  tag_missing: 'The registration asks for tags (`requiresTags`). Send it with one, under a new mutationId.',
  tag_unverifiable:
    'Its device is bound no longer, and nobody has the key that its tag was made with. A ConflictRecord keeps ' +
    'it.',
} as const;

export type OutcomeCode = keyof typeof OUTCOME_CODES;
