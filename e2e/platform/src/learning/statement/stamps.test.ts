import { describe, expect, it } from '@jest/globals';
import {
  appendStatement as append,
  ENTITY_ID,
  NOW_ISO,
  OTHER_ID,
  pathOf,
  storedOf,
} from '../../testing/append-statement.ts';

const ADA = { objectType: 'Agent', account: { homePage: 'https://identity.sync.local', name: 'ada' } };

describe('the id', () => {
  it('is the entityId in either case, and stays as it was sent', () => {
    expect(storedOf(append({ id: ENTITY_ID.toUpperCase() }))).toMatchObject({ id: ENTITY_ID.toUpperCase() });
    expect(storedOf(append({ id: ENTITY_ID }, ENTITY_ID.toUpperCase()))).toMatchObject({ id: ENTITY_ID });
    expect(storedOf(append({}, ENTITY_ID.toUpperCase()))).toMatchObject({ id: ENTITY_ID.toUpperCase() });
    expect(pathOf(append({ id: OTHER_ID }))).toBe('/id');
    expect(pathOf(append({}, 'statement-1'))).toBe('/id');
  });
});

it('answers for a statement with who sent it, whoever it names', () => {
  const mallory = { account: { homePage: 'https://example.org', name: 'teacher' } };
  const team = { objectType: 'Group', member: [mallory, { mbox: 'mailto:bob@example.org' }] };
  for (const named of [mallory, team]) {
    const answer = append({ actor: named, authority: named, stored: '2020-01-01T00:00:00Z' });
    expect(storedOf(answer)).toMatchObject({ actor: ADA, authority: ADA, stored: NOW_ISO });
  }
});

it.each([
  ['actor', null],
  ['actor', 'ada'],
  ['actor', { mbox: 'mailto:ada@example.org', openid: 'https://ada.example.org/' }],
  ['actor', { name: 'Ada' }],
  ['authority', null],
  ['authority', { objectType: 'Group' }],
  ['stored', 7],
  ['stored', null],
  ['stored', '2026-02-30T00:00:00Z'],
])('refuses what is no statement also where the server writes itself: %s %j', (field, value) => {
  expect(pathOf(append({ [field]: value }))).toMatch(new RegExp(`^/${field}`));
});
