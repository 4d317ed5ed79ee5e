/** What is kept of a fold is what folding everything again would give. */
import { expect, it } from '@jest/globals';
import type { RemoteDelta } from '@sync/protocol';
import fc from 'fast-check';
import { AppVersions } from '../schema/app-versions.ts';
import { type OutboxEntry, isShown, queuedEntry } from '../outbox/entry.ts';
import { type EntityData, applyMutation } from '../outbox/show-entity.ts';
import { OutboxIndex } from './outbox-index.ts';
import { Overlay } from './overlay.ts';

const PLACE = { entityType: 'note', entityId: 'a' };

const STEPS = {
  draft: { isDraft: true },
  store: { isDraft: true },
  take_back: { isDraft: true },
  /** Of another tab. */
  foreign: {},
  accept: { state: 'accepted' },
  settle: { state: 'settled' },
  stand: { state: 'stands' },
  contain: { isContained: true },
  ack: { isAcked: true },
  pull: {},
} as const;
const step = fc.record({
  do: fc.constantFrom(...(Object.keys(STEPS) as (keyof typeof STEPS)[])),
  which: fc.nat(4),
  op: fc.constantFrom('put' as const, 'patch' as const, 'delete' as const),
});

/** The outbox and drafts of one entity, and nothing kept. */
class Model {
  readonly outbox = new OutboxIndex();
  readonly overlay = new Overlay(this.outbox, new AppVersions());
  state: RemoteDelta | null = null;
  drafts: OutboxEntry[] = [];
  #n = 0;

  perform({ do: what, which, op }: typeof step extends fc.Arbitrary<infer T> ? T : never): void {
    const [draft] = this.drafts;
    const entries = [...this.outbox.ofPlace(PLACE)];
    const entry = entries[which % Math.max(1, entries.length)];
    if (what === 'draft') this.overlay.addDraft(this.#drafted(op));
    else if (what === 'foreign') this.#set(this.#entry(op));
    else if (what === 'pull') this.state = deltaOf({ pulled: (this.#n += 1) });
    else if (what === 'take_back' && draft) this.overlay.removeDraft(this.#undrafted(draft));
    else if (what === 'store' && draft) this.#set({ ...draft }, this.#undrafted(draft));
    else if (entry && !('isDraft' in STEPS[what])) this.#set({ ...entry, ...STEPS[what] });
  }

  get folded() {
    const all = [...this.outbox.ofPlace(PLACE), ...this.drafts];
    const shown = all.filter(isShown);
    const data = shown.reduce<EntityData | null>(
      (before, { mutation }) => applyMutation(before, mutation),
      this.state?.data ?? null,
    );
    return {
      data,
      scope: all.at(-1)?.mutation.scope ?? null,
      isPending: shown.length > 0,
      state: this.state,
    };
  }

  #set(entry: OutboxEntry, draft?: OutboxEntry): void {
    this.overlay.changed(entry, this.outbox.set(entry), draft);
  }

  #drafted(op: 'put' | 'patch' | 'delete'): OutboxEntry {
    const draft = this.#entry(op);
    this.drafts.push(draft);
    return draft;
  }

  #undrafted(draft: OutboxEntry): OutboxEntry {
    this.drafts = this.drafts.filter((each) => each !== draft);
    return draft;
  }

  #entry(op: 'put' | 'patch' | 'delete'): OutboxEntry {
    const sequence = (this.#n += 1);
    const fields = { mutationId: `m${sequence}`, scope: `s${sequence % 2}`, ...PLACE, op, sequence };
    const data = { [`field${sequence % 3}`]: sequence };
    return queuedEntry({ ...fields, data, occurredAt: '', schemaVersion: 1 });
  }
}

function deltaOf(data: EntityData): RemoteDelta {
  return { ...PLACE, op: 'put', data, clock: {}, schemaVersion: 1, committedAt: '' };
}

it('shows after any history what all changes together make of the entity', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (history) => {
      const model = new Model();
      for (const what of history) {
        model.perform(what);
        expect(model.overlay.over(PLACE, model.state)).toEqual(model.folded);
      }
    }),
    { numRuns: 500 },
  );
});
