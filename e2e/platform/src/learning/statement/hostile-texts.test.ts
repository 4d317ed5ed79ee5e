import { expect, it } from '@jest/globals';
import { validator } from '@sync/protocol';
import { HOSTILE_TEXTS, outgrowsItsInput } from '@sync/protocol/testing';
import { Duration, Iri, LanguageMap, LanguageTag, Mailbox, MediaType, Uri } from './xapi-values.ts';

it.each([
  ['an IRI', validator(Iri)],
  ['a URI', validator(Uri)],
  ['a language tag', validator(LanguageTag)],
  ['a mailbox', validator(Mailbox)],
  ['a media type', validator(MediaType)],
  ['a duration', validator(Duration)],
  ['the keys of a language map', (text: string) => validator(LanguageMap)({ [text]: '' })],
])('%s takes no longer to check than it is long', (_what, check) => {
  const slow = HOSTILE_TEXTS.filter((textOf) => outgrowsItsInput(check, textOf));
  expect(slow.map((textOf) => textOf(20))).toEqual([]);
});
