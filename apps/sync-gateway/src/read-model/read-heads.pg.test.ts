import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import type { TestDatabase } from '@sync/postgres/testing';
import { gatewayDatabase } from '../testing/gateway-rig.ts';
import { piecesRead } from '../testing/pieces-read.ts';
import type { EntityAddress } from './entity-address.ts';
import { checkCurrents } from '../push/outcome/check-currents.ts';
import { type AwaitedHead, ReadHeads } from './read-heads.ts';

let test: TestDatabase;
let heads: ReadHeads;
const AUTHOR = { tenantId: 't', userId: 'u', deviceId: 'd' };
const LARGE = 700_000;
const MIB = 1024 * 1024;
/** Time to ask for several times. */
const LIMIT_MS = 150;

beforeAll(async () => {
  test = await gatewayDatabase(1);
  heads = new ReadHeads(test.database);
});
afterAll(() => test.drop());

let sequence = 0;

/** An entity that the read model has at this revision. */
async function projected(revision: number, bytes = LARGE): Promise<EntityAddress> {
  sequence += 1;
  const address = { scope: 'user:u', entityType: 'note', entityId: `n${sequence}` };
  await test.database.inTenant('t', (tx) =>
    tx.query(
      `INSERT INTO scope_delta
         (tenant_id, scope, entity_type, entity_id, sequence, revision, deleted, clock, wire)
       VALUES ('t', $1, $2, $3, $4, $5, false, '{}', $6)`,
      [
        ...[address.scope, address.entityType, address.entityId, sequence, revision],
        randomBytes(bytes / 2).toString('hex'),
      ],
    ),
  );
  return address;
}

const awaited = (mutation: EntityAddress, revision: number): AwaitedHead<{ mutation: EntityAddress }> => ({
  work: { mutation },
  revision,
});

const pieces = (work: () => Promise<unknown>): Promise<number> => piecesRead(test.database, 1, work);

it('reads of awaited entities only those that have the revision, each once', async () => {
  const behind = await projected(1);
  const there = await projected(2);
  const one = await pieces(() => heads.read(AUTHOR, [there]));
  expect(one).toBeGreaterThan(LARGE / 4_000);
  const wanted = [awaited(behind, 2), awaited(there, 2), awaited(there, 1)];
  const read = await pieces(async () => {
    const found = await heads.waitFor(AUTHOR, wanted, LIMIT_MS);
    expect([...found.keys()]).toEqual(wanted.slice(1).map(({ work }) => work));
    expect([...found.values()].map(({ wire }) => wire.length)).toEqual([LARGE, LARGE]);
  });
  expect(read).toBe(one);
});

it('answers an entity to whoever waits for the revision that it has, and not to who waits for the next', async () => {
  const address = await projected(1, 100);
  const wanted = [awaited(address, 2), awaited(address, 1)];
  const found = await heads.waitFor(AUTHOR, wanted, 0);
  expect([...found.keys()]).toEqual([wanted[1]?.work]);
});

it('keeps the room for entities that have the revision', async () => {
  const behind = await projected(1, 15 * MIB);
  const there = await projected(2, 2 * MIB);
  expect((await heads.know(AUTHOR, [behind, there])).map(({ unread }) => unread)).toEqual([false, true]);
  const wanted = [awaited(behind, 2), awaited(there, 2)];
  const found = await heads.waitFor(AUTHOR, wanted, 0);
  expect([...found.keys()]).toEqual([wanted[1]?.work]);
});

it('reads no entity to learn that it may be shown', async () => {
  const address = await projected(1);
  const shown = { address, current: '{"clock":{}}', told: null };
  const read = await pieces(async () => {
    expect(await checkCurrents(heads, AUTHOR, [shown])).toEqual([shown.current]);
  });
  expect(read).toBe(0);
});
