import { MatchersV3 } from '@pact-foundation/pact';
import { MessageContract } from '@sync/messaging/testing/pact';
import { subjects, type SyncEvent } from '@sync/protocol';
import { derivedUuid } from '@sync/service-kit/derived-uuid';
import { conflictOf, firstEntries } from './conflict-record.ts';

const { integer, like, regex, timestamp } = MatchersV3;

const MUTATION = '00000000-0000-4000-8000-000000000051';
const about = { mutationId: MUTATION, entityType: 'note', entityId: 'pact-held' };

describe('the conflict-resolver expects of the gateway', () => {
  it('a whole draft with the event of a conflict that is held for a person', async () => {
    const found = await new MessageContract('conflict-resolver', 'sync-gateway').message(
      {
        subject: subjects.streamMessage('SYNC_EVENTS', '{partition}', 'sync-gateway'),
        what: `mutation ${MUTATION} was held`,
        contents: [
          {
            ...{ specversion: '1.0', type: 'sync.conflict.detected.v1', userid: 'pact-user' },
            time: timestamp("yyyy-MM-dd'T'HH:mm:ss.SSSX", '2026-01-01T00:00:00.000Z'),
            tenantid: regex('pact-[a-z0-9]+', 'pact-held'),
            deviceid: like('pact-device'),
            data: {
              ...about,
              // The id follows from the mutation: told twice, it is one record.
              conflictId: derivedUuid(`conflict\0${MUTATION}`),
              ...{ scope: 'user:pact-user', status: 'open' },
              draft: {
                ...{ ...about, policy: 'lww', op: 'patch', decision: 'open', theirsUpdate: null },
                ...{ base: { userId: 'pact-user' }, baseUnknown: ['text'] },
                ours: { userId: 'pact-user', text: 'of the service' },
                theirs: { text: 'of the device' },
                fields: [{ field: 'text', ours: 'of the service', theirs: 'of the device', winner: 'open' }],
                clockOurs: { 's:learning': 2 },
                clockTheirs: like({ 's:learning': integer(1) }),
              },
            },
          },
        ],
      },
      (payload) => (JSON.parse(payload) as SyncEvent[]).map(conflictOf),
    );
    const record = found[0]?.record;
    expect(record).toMatchObject({ status: 'open', userId: 'pact-user', policy: 'lww' });
    expect(record && firstEntries(record)).toMatchObject([
      { what: 'detected', who: { userId: 'pact-user' } },
    ]);
  });
});
