import { randomUUID } from 'node:crypto';
import { ConflictRecord, ConflictResolveReply, type ResolutionKind, validator } from '@sync/protocol';
import { answerHistory } from '../history/answer-history.ts';
import { answerVerify } from '../history/answer-verify.ts';
import { answerShow } from '../listing/answer-show.ts';
import { noSuggestions, type SuggestionSource } from '../suggestions/suggestion-source.ts';
import { hashClock, hashJson } from '../history/hashes.ts';
import { modelSuggestions } from '../suggestions/take-suggestion.ts';
import { type HeldConflict, ResolutionRig } from '../testing/resolution-rig.ts';
import type { AskOwner, ResolveConflict } from './resolve-conflict.ts';

let rig: ResolutionRig;
let resolver: ResolveConflict;

beforeAll(async () => {
  rig = await ResolutionRig.start();
  resolver = rig.resolver();
});
afterAll(async () => {
  await rig.stop();
});

const KEEP_CLIENT = { kind: 'keep_client' } as const;

async function shown({ tenantId, conflictId }: HeldConflict): Promise<ConflictRecord> {
  return (await answerShow(rig.conflicts.test.database, noSuggestions, { tenantId, conflictId })).conflict;
}

async function whatHappened({ tenantId, conflictId }: HeldConflict): Promise<string[]> {
  const page = { tenantId, conflictId, cursor: null, limit: 500 };
  return (await answerHistory(rig.conflicts.test.database, page)).entries.map(({ what }) => what);
}

describe('a resolution', () => {
  it('tells the platform who decided, how, and the hash of its entry', async () => {
    const held = await rig.held();
    const reply = await resolver.execute(await rig.request(held, KEEP_CLIENT, 'b'));
    expect(validator(ConflictResolveReply)(reply)).toMatchObject({ ok: true });
    const record = await shown(held);
    expect(validator(ConflictRecord)(record)).toMatchObject({ ok: true });
    expect(reply).toEqual({ kind: 'resolved', conflict: record });
    expect(record.fields).toEqual([{ field: 'text', ours: 'server', theirs: 'client', winner: 'theirs' }]);
    expect(rig.conflicts.owner.announced.at(-1)).toEqual({ entityId: held.conflictId, data: record });
    expect(await rig.syncEvents(held.tenantId)).toMatchObject([
      {
        type: 'sync.conflict.resolved.v1',
        userid: 'u1',
        deviceid: 'b',
        data: {
          status: 'resolved',
          resolution: 'keep_client',
          decider: { kind: 'person', userId: 'u1', deviceId: 'b' },
          historyHash: record.history.at(-1)?.hash,
        },
      },
    ]);
    expect((await rig.note(held)).data).toEqual({ userId: 'u1', text: 'client', colour: 'white' });
    const chain = await answerVerify(rig.conflicts.test.database, {
      tenantId: held.tenantId,
      cursor: null,
      limit: 10,
    });
    expect(chain).toMatchObject({ checked: 2, broken: null, hash: record.history.at(-1)?.hash });
  });

  it('is moved when the entity changed after the person looked, and the record stays open', async () => {
    const held = await rig.held();
    const request = await rig.request(held, KEEP_CLIENT);
    await rig.change(held.tenantId, held.noteId, { userId: 'u1', text: 'newer' });
    expect(await resolver.execute(request)).toEqual({ kind: 'moved' });
    const now = await rig.request(held, KEEP_CLIENT);
    expect(await resolver.execute({ ...now, expectedClock: { 'd:z': 9 } })).toEqual({ kind: 'moved' });
    expect(await whatHappened(held)).toEqual(['detected']);
    expect(await resolver.execute(now)).toMatchObject({ kind: 'resolved' });
  });

  it('asks the owner anew after it said no', async () => {
    const held = await rig.held();
    const rude = await rig.request(held, { kind: 'merged', data: { userId: 'u1', text: 'rude' } });
    for (let attempt = 0; attempt < 2; attempt += 1)
      expect(await resolver.execute(rude)).toMatchObject({ kind: 'rejected', code: 'rude' });
    expect(await whatHappened(held)).toEqual(['detected', 'resolution_rejected', 'resolution_rejected']);
    expect(await resolver.execute(await rig.request(held, { kind: 'keep_server' }))).toMatchObject({
      kind: 'resolved',
    });
  });

  it('refuses what the policy does not know before the owner is asked', async () => {
    const held = await rig.held();
    const request = await rig.request(held, { kind: 'merged', update: 'AAA=' });
    expect(await resolver.execute(request)).toMatchObject({ kind: 'rejected', code: 'op_not_allowed' });
    const orphan = { ...request, resolution: KEEP_CLIENT, target: null };
    expect(await resolver.execute(orphan)).toMatchObject({ kind: 'rejected', code: 'entity_type_unknown' });
    expect((await shown(held)).status).toBe('open');
  });

  it('is not for other users, who cannot tell that there is one', async () => {
    const held = await rig.held();
    const request = await rig.request(held, KEEP_CLIENT);
    await expect(resolver.execute({ ...request, userId: 'u2' })).rejects.toMatchObject({ code: 'not_found' });
    const elsewhere = { ...request, tenantId: 't-elsewhere' };
    await expect(resolver.execute(elsewhere)).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('resolutions at once', () => {
  it('lets one of many win, whatever they ask for', async () => {
    const kinds: readonly ResolutionKind[] = ['keep_client', 'keep_server', 'merged', 'keep_client'];
    const held = await rig.held();
    const requests = await Promise.all(
      kinds.map((kind, place) => {
        const data = kind === 'merged' ? { data: { userId: 'u1', text: 'merged' } } : {};
        return rig.request(held, { kind, ...data }, `d${place}`);
      }),
    );
    // As many resolver processes as requests.
    const replies = await Promise.all(requests.map((request) => rig.resolver().execute(request)));
    const won = replies.filter(({ kind }) => kind === 'resolved');
    expect(won).toHaveLength(1);
    expect(replies.filter(({ kind }) => kind === 'already_resolved')).toHaveLength(3);
    const { decision } = await shown(held);
    const text = { keep_client: 'client', keep_server: 'server', merged: 'merged' }[String(decision?.kind)];
    expect((await rig.note(held)).data?.['text']).toBe(text);
    expect(await whatHappened(held)).toEqual(['detected', 'resolved']);
  });

  it('makes those wait who come while another one is under way', async () => {
    const held = await rig.held();
    const gate = Promise.withResolvers<null>();
    const reached = Promise.withResolvers<null>();
    const slow: AskOwner = async (tenantId, claim) => {
      reached.resolve(null);
      await gate.promise;
      return rig.ask(tenantId, claim);
    };
    const first = rig.resolver(slow).execute(await rig.request(held, KEEP_CLIENT));
    await reached.promise;
    const second = resolver.execute(await rig.request(held, { kind: 'keep_server' }, 'b'));
    gate.resolve(null);
    expect(await first).toMatchObject({ kind: 'resolved' });
    expect(await second).toMatchObject({
      kind: 'already_resolved',
      conflict: { decision: { kind: 'keep_client' } },
    });
  });
});

describe('a resolution whose process died', () => {
  const died = new Error('kill -9');
  const diesBefore: AskOwner = () => Promise.reject(died);
  const diesAfter: AskOwner = async (tenantId, claim) => {
    await rig.ask(tenantId, claim);
    throw died;
  };

  it('is carried on by its repetition when its process died before anything was recorded', async () => {
    for (const dies of [diesBefore, diesAfter]) {
      const held = await rig.held();
      const request = await rig.request(held, KEEP_CLIENT);
      await expect(rig.resolver(dies).execute(request)).rejects.toBe(died);
      expect((await shown(held)).status).toBe('open');
      // The gateway looks at the entity anew: by now it may have the resolution in it.
      const again = { ...(await rig.request(held, KEEP_CLIENT)), expectedClock: request.expectedClock };
      const reply = await resolver.execute(again);
      expect(reply).toMatchObject({ kind: 'resolved', conflict: { decision: { kind: 'keep_client' } } });
      expect(await resolver.execute(again)).toEqual(reply);
      expect(await rig.note(held)).toMatchObject({ revision: 2, data: { text: 'client' } });
    }
  });

  it('is carried on in the background when its process died after the owner had committed', async () => {
    const held = await rig.held();
    const request = await rig.request(held, KEEP_CLIENT);
    await expect(rig.resolver(diesAfter).execute(request)).rejects.toBe(died);
    expect(await resolver.healDue()).toBe(0);
    await rig.expire(held);
    expect(await resolver.healDue()).toBe(1);
    expect(await shown(held)).toMatchObject({
      status: 'resolved',
      decider: { kind: 'person', deviceId: 'a' },
    });
    expect(await resolver.healDue()).toBe(0);
    expect((await rig.note(held)).revision).toBe(2);
  });

  it('is carried on by whoever comes next, who then is told of it', async () => {
    const held = await rig.held();
    await expect(rig.resolver(diesAfter).execute(await rig.request(held, KEEP_CLIENT))).rejects.toBe(died);
    await rig.expire(held);
    const other = await rig.request(held, { kind: 'keep_server' }, 'b');
    expect(await resolver.execute(other)).toMatchObject({
      kind: 'already_resolved',
      conflict: { decision: { kind: 'keep_client' }, decider: { deviceId: 'a' } },
    });
  });

  it('frees the record when the entity had moved meanwhile', async () => {
    const held = await rig.held();
    await expect(rig.resolver(diesBefore).execute(await rig.request(held, KEEP_CLIENT))).rejects.toBe(died);
    await rig.change(held.tenantId, held.noteId, { userId: 'u1', text: 'newer' });
    await rig.expire(held);
    expect(await resolver.healDue()).toBe(1);
    expect(await resolver.execute(await rig.request(held, { kind: 'keep_server' }, 'b'))).toMatchObject({
      kind: 'resolved',
    });
    expect((await rig.note(held)).data?.['text']).toBe('newer');
  });
});

describe('an owner that does not answer', () => {
  it('leaves the record free when nothing was sent', async () => {
    const held = await rig.held();
    const request = await rig.request(held, KEEP_CLIENT);
    await rig.stopOwner();
    expect(await resolver.execute(request)).toEqual({ kind: 'busy' });
    const other = await rig.request(held, { kind: 'keep_server' }, 'b');
    expect(await resolver.execute(other)).toMatchObject({ kind: 'resolved' });
    await rig.startAgain();
  });

  it('keeps others from resolving as long as it may have the resolution, and no longer', async () => {
    const held = await rig.held();
    const request = await rig.request(held, KEEP_CLIENT);
    // Lost on its way, for all that anybody can tell.
    const lost = rig.resolver(() => Promise.resolve({ status: 'unanswered' }));
    expect(await lost.execute(request)).toEqual({ kind: 'busy' });
    await rig.stopOwner();
    await rig.expire(held);
    expect(await resolver.healDue()).toBe(1);
    const other = await rig.request(held, { kind: 'keep_server' }, 'b');
    const impatient = rig.resolver(undefined, noSuggestions, 100);
    expect(await impatient.execute(other)).toEqual({ kind: 'busy' });
    await rig.startAgain();
    await rig.expire(held);
    expect(await resolver.healDue()).toBe(1);
    expect(await resolver.execute(other)).toMatchObject({
      kind: 'already_resolved',
      conflict: { decision: { kind: 'keep_client' } },
    });
  });

  it('does not hold a record for ever by a handler that throws', async () => {
    const held = await rig.held();
    const boom = await rig.request(held, { kind: 'merged', data: { userId: 'u1', text: 'boom' } });
    expect(await resolver.execute(boom)).toEqual({ kind: 'busy' });
    expect(await resolver.execute(await rig.request(held, { kind: 'keep_server' }))).toMatchObject({
      kind: 'resolved',
    });
  });
});

describe('accept_suggestion', () => {
  const ACCEPT = { kind: 'accept_suggestion', suggestionId: 's1' } as const;
  const heard: string[] = [];
  const source = (answer: Awaited<ReturnType<SuggestionSource['take']>>): SuggestionSource => ({
    list: () => Promise.resolve(new Map()),
    preview: () => Promise.resolve(answer),
    take: (_tx, _tenantId, _conflictId, suggestionId, { clock }) => {
      heard.push(`take ${suggestionId} on ${JSON.stringify(clock)}`);
      return Promise.resolve(answer);
    },
    expire: () => Promise.resolve(false),
    overtake: () => Promise.resolve(),
    dismiss: () => {
      heard.push('dismiss');
      return Promise.resolve();
    },
  });

  it('submits what the suggestion stored, and names it and who accepted it', async () => {
    const held = await rig.held();
    const request = await rig.request(held, ACCEPT);
    heard.length = 0;
    const taken = source({ kind: 'taken', changes: { set: { text: 'proposed' }, remove: ['colour'] } });
    expect(await rig.resolver(undefined, taken).execute(request)).toMatchObject({
      kind: 'resolved',
      conflict: {
        decision: { kind: 'accept_suggestion', suggestionId: 's1', op: 'put' },
        decider: { kind: 'suggestion', suggestionId: 's1', acceptedBy: { userId: 'u1', deviceId: 'a' } },
      },
    });
    expect((await rig.note(held)).data).toEqual({ userId: 'u1', text: 'proposed' });
    expect(heard).toEqual([`take s1 on ${JSON.stringify(request.expectedClock)}`]);
  });

  it('sets only the fields that the suggestion names when it takes none away', async () => {
    const held = await rig.held();
    const taken = source({ kind: 'taken', changes: { set: { text: 'proposed' }, remove: [] } });
    const reply = await rig.resolver(undefined, taken).execute(await rig.request(held, ACCEPT));
    expect(reply).toMatchObject({ conflict: { decision: { op: 'patch', data: { text: 'proposed' } } } });
    expect((await rig.note(held)).data).toEqual({ userId: 'u1', text: 'proposed', colour: 'white' });
  });

  it('refuses a suggestion that is stale, not ready or unknown', async () => {
    const held = await rig.held();
    const request = await rig.request(held, ACCEPT);
    const ask = (answer: Parameters<typeof source>[0]): Promise<ConflictResolveReply> =>
      rig.resolver(undefined, source(answer)).execute(request);
    expect(await ask({ kind: 'stale' })).toEqual({ kind: 'moved' });
    expect(await ask({ kind: 'not_ready', status: 'failed' })).toEqual({
      kind: 'suggestion_not_ready',
      status: 'failed',
    });
    expect(await ask({ kind: 'unknown' })).toMatchObject({ kind: 'suggestion_not_ready' });
    heard.length = 0;
    await rig
      .resolver(undefined, source({ kind: 'unknown' }))
      .execute({ ...request, resolution: KEEP_CLIENT });
    expect(heard).toEqual(['dismiss']);
  });

  /** A suggestion as a model has made it, for the note as it is now. @returns its id */
  async function ready(held: HeldConflict, outputHash?: string): Promise<string> {
    const { tenantId, conflictId } = held;
    const suggestionId = randomUUID();
    const { clock } = await rig.note(held);
    const output = { set: { text: 'proposed' }, remove: [] };
    await rig.conflicts.test.database.inTenant(tenantId, (tx) =>
      tx.query(
        `INSERT INTO conflict_suggestion (tenant_id, suggestion_id, conflict_id, status, entity_type, clock,
           clock_hash, material, redacted, requested_by, requested_device, requested_at, prompt_hash, parameters,
           base_hash, ours_hash, theirs_hash, budget_day, tokens_reserved, cost_reserved_micros, output,
           output_hash, confidence, rationale, finished_at)
         VALUES ($1, $2, $3, 'ready', 'note', $4, $5, '[]', '{}', 'u1', 'a', now(), $6, '{}', $6, $6, $6,
           '2026-01-01', 0, 0, $7, $8, 0.5, '', now())`,
        [
          ...[tenantId, suggestionId, conflictId, JSON.stringify(clock), hashClock(clock), '0'.repeat(64)],
          ...[JSON.stringify(output), outputHash ?? hashJson(output)],
        ],
      ),
    );
    return suggestionId;
  }

  it('decides the stored suggestion with the record, and shows it so', async () => {
    const held = await rig.held();
    const suggestionId = await ready(held);
    const other = await ready(await rig.held());
    const accept = await rig.request(held, { kind: 'accept_suggestion', suggestionId });
    const real = rig.resolver(undefined, modelSuggestions);
    expect(
      await real.execute({ ...accept, resolution: { ...accept.resolution, suggestionId: other } }),
    ).toEqual({
      kind: 'suggestion_not_ready',
      status: 'unknown',
    });
    const reply = await real.execute(accept);
    expect(reply).toMatchObject({
      kind: 'resolved',
      conflict: {
        decider: { kind: 'suggestion', suggestionId },
        suggestions: [{ suggestionId, status: 'accepted', decidedBy: 'u1' }],
      },
    });
    expect(validator(ConflictResolveReply)(reply)).toMatchObject({ ok: true });
    expect(await real.execute(accept)).toEqual(reply);
    expect((await rig.note(held)).data?.['text']).toBe('proposed');
    expect((await rig.syncEvents(held.tenantId)).map(({ type }) => type)).toEqual([
      'sync.suggestion.accepted.v1',
      'sync.conflict.resolved.v1',
    ]);
  });

  it('shows and tells that a suggestion is stale when it is accepted after the entity has moved', async () => {
    const held = await rig.held();
    const suggestionId = await ready(held);
    const accept = await rig.request(held, { kind: 'accept_suggestion', suggestionId });
    const moved = { ...accept.expectedClock, 'd:other': 1 };
    const target = accept.target === null ? null : { ...accept.target, clock: moved };
    const real = rig.resolver(undefined, modelSuggestions);
    const shown = async (): Promise<unknown> => {
      const { conflicts } = rig;
      const suggestions = await conflicts.test.database.inTenant(held.tenantId, (tx) =>
        modelSuggestions.list(tx, held.tenantId, [held.conflictId]),
      );
      return suggestions.get(held.conflictId)?.map(({ status }) => status);
    };
    // A gateway whose copy lags has seen less than the suggestion: that is no reason.
    const earlier = accept.target === null ? null : { ...accept.target, clock: {} };
    expect(await real.execute({ ...accept, target: earlier })).toEqual({ kind: 'moved' });
    expect(await shown()).toEqual(['ready']);
    expect(await real.execute({ ...accept, target })).toEqual({ kind: 'moved' });
    expect(await shown()).toEqual(['stale']);
    expect(await real.execute({ ...accept, expectedClock: moved, target })).toEqual({ kind: 'moved' });
    expect(await rig.syncEvents(held.tenantId)).toMatchObject([
      { type: 'sync.suggestion.stale.v1', userid: 'u1', data: { suggestionId } },
    ]);
  });

  it('submits nothing of a suggestion that is not what was stored, and passes over those that were not accepted', async () => {
    const held = await rig.held();
    const suggestionId = await ready(held, 'f'.repeat(64));
    const real = rig.resolver(undefined, modelSuggestions);
    const accept = await rig.request(held, { kind: 'accept_suggestion', suggestionId });
    expect(await real.execute(accept)).toEqual({ kind: 'suggestion_not_ready', status: 'damaged' });
    expect(await real.execute({ ...accept, resolution: KEEP_CLIENT })).toMatchObject({
      conflict: { suggestions: [{ suggestionId, status: 'dismissed' }] },
    });
  });
});
