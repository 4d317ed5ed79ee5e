import { MIMEType } from 'node:util';
import { isLocale } from 'class-validator';
import Type, { type TRefine, type TSchema, type TRecord, type TString } from 'typebox';
import { Format } from 'typebox/format';

/**
 * The data types of xAPI 1.0.3 (Part Two, section 4). UUIDs and times are those of the protocol: `SentUuid`,
 * `Timestamp`.
 */

const MAX_IRI_LENGTH = 4_096;
/** Quotes, control characters and the spaces of every script, which TypeBox lets through. */
const NOT_IN_IRIS = /[\s"\p{Cc}]/u;

/** RFC 3987, as far as xAPI asks for it (2.2: best effort): absolute, without characters that no IRI has. */
function isIri(text: string): boolean {
  return text.length <= MAX_IRI_LENGTH && !NOT_IN_IRIS.test(text) && Format.IsIri(text);
}

/** RFC 5646, well-formed. The library takes the underscores of POSIX as well. */
function isLanguageTag(text: string): boolean {
  return isLocale(text) && !text.includes('_');
}

/** `mailto:` and one address, without the header fields that mail programs take. */
function isMailbox(text: string): boolean {
  return isIri(text) && text.startsWith('mailto:') && Format.IsIdnEmail(text.slice('mailto:'.length));
}

function isMediaType(text: string): boolean {
  try {
    return new MIMEType(text).essence !== '';
  } catch {
    return false;
  }
}

const textThat = (is: (text: string) => boolean, name: string): TRefine<TString> =>
  Type.Refine(Type.String(), is, () => `must be ${name}`);

export const Iri = textThat(isIri, 'an IRI');
export const Uri = textThat((text) => isIri(text) && Format.IsUri(text), 'a URI');
export const LanguageTag = textThat(isLanguageTag, 'a language tag (RFC 5646)');
export const Mailbox = textThat(isMailbox, 'mailto: and an e-mail address');
export const MediaType = textThat(isMediaType, 'an Internet media type');

const mapOf = <T extends TSchema>(
  isKey: (key: string) => boolean,
  name: string,
  value: T,
): TRefine<TRecord<string, T>> =>
  Type.Refine(
    Type.Record(Type.String(), value),
    (map) => Object.keys(map).every(isKey),
    (map) => `the key ${JSON.stringify(Object.keys(map).find((key) => !isKey(key)))} must be ${name}`,
  );

export const LanguageMap = mapOf(isLanguageTag, 'a language tag (RFC 5646)', Type.String());
/** Any values, null too: a statement is never refused for what an extension holds (4.1). */
export const Extensions = mapOf(isIri, 'an IRI', Type.Unknown());

/** Only the last part of a duration may have a fraction, behind a comma or a full stop. */
const PART = '\\d+([.,]\\d+(?=[A-Z]$))?';
const parts = (letters: string): string => letters.replaceAll(/./g, (letter) => `(${PART}${letter})?`);

/**
 * ISO 8601:2004, 4.4.3.2: weeks alone, or at least one of the other parts; `T` only before parts of a day.
 */
export const Duration = Type.String({
  pattern: `^P(?=.)(${PART}W|${parts('YMD')}(T(?=.)${parts('HMS')})?)$`,
});

/** Hex, of any hash that SHA-2 has. */
export const Sha2 = Type.String({
  pattern: '^([0-9A-Fa-f]{56}|[0-9A-Fa-f]{64}|[0-9A-Fa-f]{96}|[0-9A-Fa-f]{128})$',
});
export const Sha1 = Type.String({ pattern: '^[0-9A-Fa-f]{40}$' });
