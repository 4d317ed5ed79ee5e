import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import type { EntityData } from '@sync/owner-sdk';
import {
  appendStatement as append,
  OBJECT,
  OTHER_ID,
  pathOf,
  storedOf,
  VERB,
} from '../../testing/append-statement.ts';

/** A kind of value, where it stands in a statement, and what is taken and refused there. */
function table(
  place: string,
  at: (value: unknown) => EntityData,
  values: { readonly taken: readonly unknown[]; readonly refused: readonly unknown[] },
): void {
  describe(place, () => {
    it.each(values.taken.map((value) => ({ value })))('takes $value', ({ value }) => {
      expect(append(at(value))).toMatchObject({ kind: 'accepted' });
    });
    it.each([...values.refused, null, 7].map((value) => ({ value })))('refuses $value', ({ value }) => {
      expect(pathOf(append(at(value)))).toBe(place);
    });
  });
}

const activity = (definition: object): EntityData => ({ object: { ...OBJECT, definition } });

table('/timestamp', (timestamp) => ({ timestamp }), {
  taken: ['2026-02-28T23:59:59Z', '2024-02-29T00:00:00.123456789+05:30', '0001-01-01T00:00:00-14:00'],
  refused: [
    '2026-02-30T00:00:00Z',
    '2023-02-29T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-05-01T24:00:00Z',
    '2026-05-01T10:61:00Z',
    '2026-06-30T23:59:60Z',
    '2026-05-01T10:00:00+25:00',
    '2026-05-01T10:00:00',
    '2026-05-01 10:00:00Z',
    '20260501T100000Z',
    '2026-05-01',
    '',
  ],
});

table('/result/duration', (duration) => ({ result: { duration } }), {
  taken: [
    'PT4H35M59.14S',
    'PT16559.14S',
    'P3Y1M29DT4H35M59.14S',
    'P3Y',
    'P4W',
    'P1.5W',
    'PT0S',
    'P0D',
    'PT1,5S',
    'PT1.123456S',
    'P0.5Y',
    'P1Y0.5M',
    'P1DT1.5M',
    'PT0.5H',
  ],
  refused: [
    'P',
    'PT',
    'P1YT',
    'T1S',
    '1S',
    'P4W1D',
    'P1YT4W',
    'P1.5YT1S',
    'PT1.5H30M',
    'PT1.S',
    'PT.5S',
    'P1D1Y',
    'PT1S1M',
    'P1H',
    'PT1D',
    '-P1D',
    'P-1D',
    'pt1s',
    'P1Y2',
    'P0003-06-04T12:30:05',
    'PT1S\n',
    '',
  ],
});

const languageTags = {
  taken: [
    'en',
    'en-US',
    'EN-us',
    'es-419',
    'zh-Hant-TW',
    'zh-cmn-Hans-CN',
    'zh-yue',
    'de-CH-1996',
    'sl-rozaj-biske',
    'de-DE-u-co-phonebk',
    'und',
    'x-klingon',
    'i-default',
    'hak',
  ],
  refused: [
    '',
    'e',
    'en_US',
    'en-',
    '-en',
    'en--US',
    'abcdefghi',
    'english words',
    'en-US-US',
    'en-x',
    'en\n',
  ],
};
table('/context/language', (language) => ({ context: { language } }), languageTags);

const iris = {
  taken: [
    'http://example.com/فعل/خواندن',
    'https://exämple.org:8080/a/b?c=d#e',
    'https://example.org/%C3%A4',
    'urn:uuid:6690e6c9-3ef0-4ed3-8b37-7f3964730bee',
    'tag:adlnet.gov,2013:expapi:0.9:activities:tincan',
    'mailto:ada@example.org',
    'http://[2001:db8::1]/page',
  ],
  refused: [
    '',
    'experienced',
    '/pages/1',
    '//example.org/pages/1',
    '#part',
    'http://',
    'http://example.org/page 1',
    'http://example.org/page\u00a01',
    'http://example.org/page\u00011',
    'http://example.org/"page"',
    'http://example.org/<page>',
    'http://example.org/{page}',
    'http://example.org/a\\b',
    'http://example.org/100%',
    'http://example.org/%zz',
    'http://exa mple.org',
    '1http://example.org',
    'é:page',
    ' http://example.org',
  ],
};
table('/verb/id', (id) => ({ verb: { id } }), iris);
table('/object/id', (id) => ({ object: { id } }), iris);
table('/object/definition/type', (type) => activity({ type }), iris);
table('/object/definition/moreInfo', (moreInfo) => activity({ moreInfo }), iris);
table('/context/registration', (registration) => ({ context: { registration } }), {
  taken: [OTHER_ID, OTHER_ID.toUpperCase()],
  refused: ['', 'registration-1', OTHER_ID.replaceAll('-', ''), `{${OTHER_ID}}`, `urn:uuid:${OTHER_ID}`],
});
table('/context/statement/id', (id) => ({ context: { statement: { objectType: 'StatementRef', id } } }), {
  taken: [OTHER_ID, OTHER_ID.toUpperCase()],
  refused: ['', 'statement-1'],
});

table('/version', (version) => ({ version }), {
  taken: ['1.0.0', '1.0.3', '1.0.10', '1.0.0-beta'],
  refused: ['', '1.0', '1.0.', '1.1.0', '0.95', '2.0.0', '1.0.x', 'v1.0.0'],
});

const attachment = {
  usageType: 'http://adlnet.gov/expapi/attachments/essay',
  display: { en: 'essay' },
  contentType: 'text/plain',
  length: 4,
  sha2: createHash('sha256').update('text').digest('hex'),
  fileUrl: 'https://files.example.org/essay',
};
const attached = (given: object): EntityData => ({ attachments: [{ ...attachment, ...given }] });
table('/attachments/0/contentType', (contentType) => attached({ contentType }), {
  taken: ['text/plain; charset=utf-8', 'application/vnd.example+json', 'x-conference/x-cooltalk'],
  refused: ['', 'text', 'text/', '/plain', 'text/plain/x'],
});
table('/attachments/0/sha2', (sha2) => attached({ sha2 }), {
  taken: ['sha224', 'sha256', 'sha384', 'sha512'].flatMap((hash) => {
    const hex = createHash(hash).update('text').digest('hex');
    return [hex, hex.toUpperCase()];
  }),
  refused: ['', createHash('sha1').update('text').digest('hex'), 'g'.repeat(64)],
});
table('/attachments/0/usageType', (usageType) => attached({ usageType }), {
  ...iris,
  refused: [...iris.refused, 'http://adlnet.gov/expapi/attachments/signature'],
});
table('/attachments/0/fileUrl', (fileUrl) => attached({ fileUrl }), iris);
it('refuses an attachment that says of no file where it is: the file cannot come with it', () => {
  const { fileUrl: _left, ...nowhere } = attachment;
  expect(pathOf(append({ attachments: [nowhere] }))).toBe('/attachments/0/fileUrl');
});

const instructor = (given: object): EntityData => ({ context: { instructor: given } });
describe('who is named', () => {
  const account = { homePage: 'https://example.org', name: '1625378' };
  const sha1 = createHash('sha1').update('mailto:ada@example.org').digest('hex');
  const member = [{ mbox: 'mailto:bob@example.org' }];

  it.each([
    { mbox: 'mailto:ada@example.org' },
    { mbox: 'mailto:ada+school@exämple.org' },
    { mbox_sha1sum: sha1 },
    { mbox_sha1sum: sha1.toUpperCase() },
    { openid: 'https://ada.example.org/' },
    { account },
    { objectType: 'Agent', name: 'Ada', account },
    { objectType: 'Group', member },
    { objectType: 'Group', account, member: [] },
    { objectType: 'Group', name: 'Team A', mbox: 'mailto:a@example.org' },
  ])('takes %j', (given) => {
    expect(append(instructor(given))).toMatchObject({ kind: 'accepted' });
  });

  it.each([
    {},
    { name: 'Ada' },
    { mbox: 'mailto:ada@example.org', account },
    { mbox: 'mailto:ada@example.org', mbox_sha1sum: sha1 },
    { mbox: 'ada@example.org' },
    { mbox: 'mailto:ada' },
    { mbox: 'mailto:ada@example.org?subject=hello' },
    { mbox: 'mailto:ada@example.org,bob@example.org' },
    { mbox: 'mailto:' },
    { mbox_sha1sum: sha1.slice(1) },
    { mbox_sha1sum: `${sha1.slice(1)}g` },
    { openid: 'ada' },
    { openid: 'https://example.org/ä' },
    { account: { name: '1625378' } },
    { account: { homePage: 'https://example.org' } },
    { account: { ...account, homePage: 'example' } },
    { account: { ...account, colour: 'red' } },
    { account, member },
    { account, colour: 'red' },
    { objectType: 'Person', account },
    { objectType: 'Group' },
    { objectType: 'Group', account, mbox: 'mailto:a@example.org', member },
    { objectType: 'Group', member: [{ name: 'Bob' }] },
    { objectType: 'Group', member: [{ objectType: 'Group', member }] },
  ])('refuses %j', (given) => {
    expect(pathOf(append(instructor(given)))).toMatch(/^\/context\/instructor/);
  });

  it('lets a group be the team, and no agent', () => {
    expect(append({ context: { team: { objectType: 'Group', member } } })).toMatchObject({
      kind: 'accepted',
    });
    expect(pathOf(append({ context: { team: { account } } }))).toMatch(/^\/context\/team/);
  });
});

describe('maps', () => {
  const displayed = (language: string): EntityData => ({ verb: { ...VERB, display: { [language]: 'x' } } });
  it.each(languageTags.taken)('of languages take %s', (language) => {
    expect(append(displayed(language))).toMatchObject({ kind: 'accepted' });
  });
  it.each(languageTags.refused)('of languages refuse %j', (language) => {
    expect(pathOf(append(displayed(language)))).toBe('/verb/display');
  });

  it.each(['name', 'description'])('are the %s of an activity, too', (field) => {
    expect(pathOf(append(activity({ [field]: { en_US: 'page' } })))).toBe(`/object/definition/${field}`);
    expect(pathOf(append(activity({ [field]: { en: null } })))).toBe(`/object/definition/${field}/en`);
  });

  const extensions = { 'https://example.org/x': { deep: [null, '', { 'not an IRI': 1 }] } };
  it.each([
    ['/object/definition/extensions', activity],
    ['/result/extensions', (result: object) => ({ result })],
    ['/context/extensions', (context: object) => ({ context })],
  ] as const)('of extensions hold anything under an IRI: %s', (place, at) => {
    expect(append(at({ extensions }))).toMatchObject({ kind: 'accepted' });
    expect(pathOf(append(at({ extensions: { altitude: 1 } })))).toBe(place);
  });
});

describe('a score', () => {
  it.each([
    { scaled: -1 },
    { scaled: 1 },
    { raw: 1_000_000 },
    { raw: 0, min: 0, max: 100 },
    { raw: 100, min: 0, max: 100 },
    { raw: -5, max: 0 },
    { min: 0, max: 1 },
    {},
  ])('takes %j', (score) => {
    expect(append({ result: { score } })).toMatchObject({ kind: 'accepted' });
  });

  it.each([
    { scaled: 1.01 },
    { scaled: -1.01 },
    { scaled: '1' },
    { raw: 101, min: 0, max: 100 },
    { raw: -1, min: 0 },
    { raw: 1, max: 0 },
    { min: 1, max: 1 },
    { min: 2, max: 1 },
    { percent: 10 },
    { raw: null },
  ])('refuses %j', (score) => {
    expect(pathOf(append({ result: { score } }))).toMatch(/^\/result\/score/);
  });
});

describe('an interaction', () => {
  const choices = [{ id: 'a', description: { en: 'first' } }, { id: 'b' }];

  it('has its type, and components with ids of their own', () => {
    expect(
      append(activity({ interactionType: 'choice', choices, correctResponsesPattern: ['a'] })),
    ).toMatchObject({ kind: 'accepted' });
    expect(pathOf(append(activity({ choices })))).toBe('/object/definition');
    expect(pathOf(append(activity({ interactionType: 'quiz' })))).toBe('/object/definition/interactionType');
    const twice = [...choices, { id: 'a' }];
    expect(pathOf(append(activity({ interactionType: 'choice', choices: twice })))).toBe(
      '/object/definition/choices',
    );
  });
});

describe('activities of the context', () => {
  it('are stored as lists, also where one came alone', () => {
    const contextActivities = { parent: OBJECT, grouping: [OBJECT, OBJECT] };
    expect(storedOf(append({ context: { contextActivities } }))).toMatchObject({
      context: { contextActivities: { parent: [OBJECT], grouping: [OBJECT, OBJECT] } },
    });
  });

  it.each([{ child: [OBJECT] }, { parent: [{ id: 'page 1' }] }, { other: 'page' }, { category: null }])(
    'are refused as %j',
    (contextActivities) => {
      expect(pathOf(append({ context: { contextActivities } }))).toMatch(/^\/context\/contextActivities/);
    },
  );
});

describe('what belongs to activities alone', () => {
  const object = { objectType: 'StatementRef', id: OTHER_ID };
  it.each(['revision', 'platform'])('is the %s of the context', (field) => {
    expect(append({ context: { [field]: '1' } })).toMatchObject({ kind: 'accepted' });
    expect(pathOf(append({ object, context: { [field]: '1' } }))).toBe(`/context/${field}`);
  });
});

it.each([
  ['/verb/colour', { verb: { ...VERB, colour: 'red' } }],
  ['/object/colour', { object: { ...OBJECT, colour: 'red' } }],
  ['/object/definition/Name', activity({ Name: { en: 'page' } })],
  ['/result/sucess', { result: { sucess: true } }],
  ['/context/course', { context: { course: 'c1' } }],
  ['/attachments/0/text', attached({ text: 'four' })],
] as const)('refuses what xAPI does not name: %s', (path, data) => {
  expect(pathOf(append(data))).toBe(path);
});
