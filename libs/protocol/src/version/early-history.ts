import type { VersionEntry } from './history.ts';

/** The first twenty entries of the history. */
export const EARLY_HISTORY: readonly VersionEntry[] = [
  {
    version: '1.0.0',
    date: '2026-11-22',
    schemas: [],
    change:
      'Pull, push, ack, tickets and live; conflicts, their resolution and suggestions; what owning ' +
      'services answer; domain events and sync events.',
  },
  {
    version: '1.1.0',
    date: '2026-11-22',
    schemas: ['RegisterQuestion'],
    change:
      'pushChains: owners that promise to answer conflict behind a conflict get several changes of an ' +
      'entity at once, others one by one.',
  },
  {
    version: '1.2.0',
    date: '2026-11-29',
    schemas: [],
    change:
      'LIVE-5: a replica that stops closes sockets with 1012 instead of 1001, and says after how long to ' +
      'connect again. PULL-20.',
  },
  {
    version: '1.3.0',
    date: '2026-11-29',
    schemas: [],
    change:
      'PUSH-2, PUSH-3: the same mutationId is the same mutation by what it changes, not by how it is ' +
      'written, and its outcome is for each device of its user. PUSH-16: a refusal without effect uses up ' +
      'nobody’s id. PUSH-17: what a withdrawn scope refuses is kept in a record.',
  },
  {
    version: '1.4.0',
    date: '2026-11-29',
    schemas: ['PushAnswer'],
    change:
      'changed and data: owners say that a sent value does not stand as sent; the outcome is merged with ' +
      'current, where it was applied. The same append again under a fresh mutationId is answered with what ' +
      'stands (the SDK compares what was sent).',
  },
  {
    version: '1.5.0',
    date: '2026-11-29',
    schemas: ['PushQuestion'],
    change:
      'POLICY-13: an entity that was deleted and made anew takes nothing from before its deletion. ' +
      'fieldWrites say which deletion that is.',
  },
  {
    version: '1.6.0',
    date: '2026-11-29',
    schemas: ['DecideItem', 'DecideRequest'],
    change:
      'PUSH-4: where a device leaves its own entry out of baseClock, it is added. PUSH-18: what a restored ' +
      'device has forgotten counts as unseen. A question to the resolver may name the mutation’s counter.',
  },
  {
    version: '1.7.0',
    date: '2026-11-29',
    schemas: [],
    change:
      'POLICY-8, POLICY-10: every refused update of a document is kept in a record. An `update` has ' +
      '524,288 characters instead of 262,144, as many clientIDs as its document may have, and a longer one ' +
      'is update_too_large instead of mutation_invalid.',
  },
  {
    version: '1.8.0',
    date: '2026-11-29',
    schemas: [],
    change:
      'PUSH-19: owners leave out an optional field in which null was sent, instead of refusing all that ' +
      'came with it.',
  },
  {
    version: '1.9.0',
    date: '2026-11-29',
    schemas: ['PushQuestion'],
    change:
      'identity: owners can tell a repetition from another change under the same mutationId, and refuse ' +
      'that. OWNER-3.',
  },
  {
    version: '1.10.0',
    date: '2026-11-29',
    schemas: [],
    change:
      'POLICY-14: a clientID belongs to the device that wrote under it first, no more to its user; other ' +
      'content under clocks that the document has is client_id_foreign instead of being cut off.',
  },
  {
    version: '1.11.0',
    date: '2026-11-29',
    schemas: ['PushQuestion'],
    change:
      'CLOCK-3, CLOCK-4: the clock of an entity that more devices have changed than it has entries is ' +
      'folded, and s:folded stands for them. folds in fieldWrites.',
  },
  {
    version: '1.12.0',
    date: '2026-11-29',
    schemas: [],
    change:
      'PUSH-8: a mutation waits for one that it builds on and that has not come, a quarter of an hour, ' +
      'where it was refused at once.',
  },
  {
    version: '1.13.0',
    date: '2026-11-29',
    schemas: [],
    change:
      'PULL-21: several pulls of a device wait side by side; a newer one ended the older before. LIVE-4: ' +
      'eight sockets instead of four, and none is put out in its first five seconds. ACCESS-12: verified ' +
      'devices go on for 24 hours while identity is away. COMMON-10: every 429 and 503 has Retry-After. ' +
      'COMMON-20: every request is answered in bounded time.',
  },
  {
    version: '1.14.0',
    date: '2026-11-29',
    schemas: [],
    change:
      'PULL-8: an entity that came and went before anybody could pull it is a delete; nothing told of it, ' +
      'and its author waited for ever.',
  },
  {
    version: '1.15.0',
    date: '2026-11-29',
    schemas: [],
    change:
      'COMMON-21: what becomes of a number was said nowhere. PUSH-14: a mutation whose statement takes its ' +
      'owner on the SDK more than four seconds counts as one at which it fails, where it was taken for ' +
      'busy.',
  },
  {
    version: '1.16.0',
    date: '2026-11-29',
    schemas: [],
    change:
      'POLICY-13: under lww an edit that is later than a deletion which it had not seen brings the entity ' +
      'back, also where the deletion came first; it was superseded there. CONFLICT-10: unavailable where ' +
      'the entity could only be shown as it was before a change of which the device was told.',
  },
  {
    version: '1.17.0',
    date: '2026-11-29',
    schemas: [],
    change:
      'PUSH-7: where only the read model can show what a merged mutation came to, it is accepted until ' +
      'then; it was merged with the entity as it had been, or as the device had sent it.',
  },
  {
    version: '1.18.0',
    date: '2026-11-29',
    schemas: ['PushResponse', 'PullResponse'],
    change:
      'PUSH-20: a large entity is shown once an answer; currentOf of its other outcomes names the one that ' +
      'shows it. The entities of one answer have at most 8 MiB.',
  },
  {
    version: '1.19.0',
    date: '2026-11-29',
    schemas: [],
    change:
      'ADMIN-8: registrations, the scopes of a user and those of a device are listed in pages, too. One ' +
      'entity type’s registration has at most 600,000 bytes.',
  },
];
