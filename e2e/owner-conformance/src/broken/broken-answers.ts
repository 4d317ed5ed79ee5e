import { randomUUID } from 'node:crypto';
import type { OwnerPushResult, PushedMutation } from '@sync/protocol';
import type { BrokenOwner } from './broken-owner.ts';
import type { OnPush, OwnerDistortion } from './owner-proxy.ts';

const STORED = 'push.test.ts › has stored what it says that it has applied';
const REPEATED = 'push.test.ts › answers a repetition as the first time, and tells of the change once';
const AT_ONCE = 'push.test.ts › carries out once what comes several times at the same moment';
const USED = 'push.test.ts › does not carry out another change under the id of an applied one';
const STALE =
  'push.test.ts › hands back the present state instead of overwriting it, and keeps no such answer';
const INVALID =
  'push.test.ts › refuses invalid data with a code and a message, and leaves its neighbours alone';

/** Changes each answer. */
const onResults =
  (change: (result: OwnerPushResult, mutation: PushedMutation) => OwnerPushResult): OnPush =>
  async (request, forward) => {
    const { results } = await forward(request);
    return {
      results: results.map((result) => {
        const mutation = request.mutations.find(({ mutationId }) => mutationId === result.mutationId);
        return mutation ? change(result, mutation) : result;
      }),
    };
  };

/** Answers before it does anything, and its process dies then. */
const drop: OnPush = ({ mutations }) => {
  const results = mutations.map(({ mutationId, expectedRevision }): OwnerPushResult => {
    return { mutationId, status: 'applied', revision: expectedRevision + 1 };
  });
  return Promise.resolve({ results });
};

/** Keeps no ids: whatever comes is carried out, on whatever is there. */
function forgetIds(): OnPush {
  const revisions = new Map<string, number>();
  return async ({ mutations, ...request }, forward) => {
    const results: OwnerPushResult[] = [];
    for (const mutation of mutations) {
      const { mutationId, entityId, expectedRevision } = mutation;
      const revision = revisions.get(entityId) ?? expectedRevision;
      revisions.set(entityId, revision + 1);
      const fresh = { ...mutation, mutationId: randomUUID(), expectedRevision: revision };
      const [result] = (await forward({ ...request, mutations: [fresh] })).results;
      if (result) results.push({ ...result, mutationId });
    }
    return { results };
  };
}

function answerOtherwise(): OnPush {
  const known = new Set<string>();
  return onResults((result) => {
    const isKnown = known.has(result.mutationId);
    known.add(result.mutationId);
    if (!isKnown || result.status !== 'applied') return result;
    return { ...result, revision: result.revision + 1 };
  });
}

/** Whatever was expected: the last one wins. */
const overwrite: OnPush = async (request, forward) => {
  const { results } = await forward(request);
  const behind = new Map(
    results.flatMap((result) => (result.status === 'conflict' ? [[result.mutationId, result.current]] : [])),
  );
  if (behind.size === 0) return { results };
  const mutations = request.mutations.map((mutation) => {
    const { revision = mutation.expectedRevision } = behind.get(mutation.mutationId) ?? {};
    return { ...mutation, expectedRevision: revision };
  });
  return forward({ ...request, mutations });
};

function keepConflicts(): OnPush {
  const kept = new Map<string, OwnerPushResult>();
  return onResults((result) => {
    if (result.status === 'conflict') kept.set(result.mutationId, result);
    return kept.get(result.mutationId) ?? result;
  });
}

const refuseAll: OnPush = async (request, forward) => {
  const { results } = await forward(request);
  const refusal = results.find(({ status }) => status === 'rejected');
  if (!refusal) return { results };
  return { results: results.map(({ mutationId }) => ({ ...refusal, mutationId })) };
};

/** Knows nothing of the mutations beside one. */
const oneByOne: OnPush = async ({ mutations, ...request }, forward) => {
  const results: OwnerPushResult[] = [];
  for (const mutation of mutations)
    results.push(...(await forward({ ...request, mutations: [mutation] })).results);
  return { results };
};

const carryOut: OnPush = (request, forward) => {
  return forward({ ...request, mutations: request.mutations.map(({ refuse: _left, ...rest }) => rest) });
};

const refuseNull: OnPush = onResults((result, { data }) => {
  const isNull = Object.values(data ?? {}).includes(null);
  if (!isNull) return result;
  return { mutationId: result.mutationId, status: 'rejected', code: 'data_invalid', message: 'null' };
});

const pushes = (push: OnPush): OwnerDistortion => ({ push });

export const BROKEN_ANSWERS: readonly BrokenOwner[] = [
  {
    fault: 'answers before it has stored anything',
    rule: 'PUSH-2',
    check: STORED,
    breaks: () => pushes(drop),
  },
  {
    fault: 'carries a repetition out again',
    rule: 'OWNER-3',
    check: REPEATED,
    breaks: () => pushes(forgetIds()),
    isShort: true,
  },
  {
    fault: 'applies twice what comes twice at the same moment',
    rule: 'OWNER-3',
    check: AT_ONCE,
    breaks: () => pushes(forgetIds()),
  },
  {
    fault: 'answers a repetition otherwise than the first time',
    rule: 'OWNER-3',
    check: REPEATED,
    breaks: () => pushes(answerOtherwise()),
  },
  {
    fault: 'carries out another change under a used id',
    rule: 'OWNER-3',
    check: USED,
    breaks: () => pushes(forgetIds()),
  },
  {
    fault: 'ignores the expected version',
    rule: 'OWNER-4',
    check: STALE,
    breaks: () => pushes(overwrite),
    isShort: true,
  },
  {
    fault: 'does not hand back the present state with a conflict',
    rule: 'OWNER-4',
    check: STALE,
    breaks: () => {
      return pushes(
        onResults((result) => {
          if (result.status !== 'conflict') return result;
          return { ...result, current: { ...result.current, data: null } };
        }),
      );
    },
  },
  {
    fault: 'keeps a conflict as its answer',
    rule: 'OWNER-4',
    check: STALE,
    breaks: () => pushes(keepConflicts()),
  },
  {
    fault: 'carries on behind a conflict of the entity, although it promised not to',
    rule: 'OWNER-4',
    check: 'push.test.ts › answers conflict to all that follows a conflict of the entity',
    breaks: () => pushes(oneByOne),
  },
  {
    fault: 'refuses a whole request for one bad mutation',
    rule: 'PUSH-5',
    check: INVALID,
    breaks: () => pushes(refuseAll),
  },
  {
    fault: 'refuses with a sentence in place of a code',
    rule: 'PUSH-6',
    check: INVALID,
    breaks: () =>
      pushes(
        onResults((result) => (result.status === 'rejected' ? { ...result, code: 'No page!' } : result)),
      ),
  },
  {
    fault: 'refuses null in a field that need not be there',
    rule: 'PUSH-19',
    check: 'push.test.ts › takes null in a field that need not be there',
    breaks: () => pushes(refuseNull),
  },
  {
    fault: 'carries out what it was only asked for',
    rule: 'OWNER-17',
    check: 'push.test.ts › refuses for good what it is only asked for, and says what it has applied',
    breaks: () => pushes(carryOut),
  },
  {
    fault: 'is silent about a request that it cannot read',
    rule: 'OWNER-19',
    check: 'push.test.ts › answers %s with an error, and goes on',
    breaks: () => ({ refusal: () => null }),
  },
  {
    fault: 'leaves an entity out of its snapshot',
    rule: 'OWNER-7',
    check: 'snapshot.test.ts › shows every entity of every tenant once, in pages of any size',
    breaks: () => ({ page: ({ entities, next }) => ({ entities: entities.slice(1), next }) }),
    isShort: true,
  },
  {
    fault: 'shows an entity twice in its snapshot',
    rule: 'OWNER-7',
    check: 'snapshot.test.ts › shows every entity of every tenant once, in pages of any size',
    breaks: () => ({
      page: ({ entities, next }, { limit }) => {
        return { entities: [...entities, ...entities].slice(0, limit), next };
      },
    }),
  },
  {
    fault: 'shows in its snapshot what was deleted',
    rule: 'OWNER-7',
    check: 'snapshot.test.ts › shows what an entity is now, and nothing of what was deleted',
    breaks: () => ({
      page: ({ entities, next }) => ({
        entities: entities.map((entity) =>
          entity.deleted ? { ...entity, deleted: false, data: {} } : entity,
        ),
        next,
      }),
    }),
  },
];
