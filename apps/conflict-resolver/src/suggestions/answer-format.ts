import { type JsonObject, type JsonValue, readField, shorten, storableText } from '@sync/domain';
import { findUnstorable, parseJson, validator } from '@sync/protocol';
import Type, { type TSchema } from 'typebox';
import type { ContestedField } from './contested-field.ts';

/**
 * What a suggestion does to the entity: values to set, fields to leave out. Fields in neither keep the
 * server's value.
 */
export interface SuggestedChanges {
  readonly set: JsonObject;
  readonly remove: readonly string[];
}

/** A model's answer that kept to the format. */
export interface ReadAnswer {
  readonly changes: SuggestedChanges;
  /** The model's own, 0 to 1; a number to sort by, not a probability. */
  readonly confidence: number;
  readonly rationale: string;
}

/** The answer is not of the format; `code` goes into the suggestion, nothing of the answer does. */
export class AnswerRefusedError extends Error {
  override readonly name = 'AnswerRefusedError';
  readonly code: 'answer_not_json' | 'answer_not_allowed';

  constructor(code: AnswerRefusedError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

const MAX_ANSWER_DEPTH = 4;
const MAX_RATIONALE_LENGTH = 1_000;
/** A merged text holds what both sides wrote and what joins them. */
const TEXT_MARGIN = 200;

type Choice = 'base' | 'ours' | 'theirs';

/**
 * The name of a field in question and answer: entities may call their fields anything, `__proto__` or a whole
 * sentence included.
 */
export function answerKey(place: number): string {
  return `f${place + 1}`;
}

/**
 * Texts, numbers and truth values may be merged; for anything else, and where a side has no value, the model
 * chooses a side.
 */
function isFree({ ours, theirs }: ContestedField): boolean {
  return typeof ours === typeof theirs && ['string', 'number', 'boolean'].includes(typeof ours);
}

function choicesOf(contested: ContestedField): Choice[] {
  return contested.base === undefined ? ['ours', 'theirs'] : ['base', 'ours', 'theirs'];
}

/**
 * The schema of an answer about these fields: exactly these, each with its own type.
 *
 * @param bounded with the limits of length that we hold answers to; providers know only a part of JSON
 * Schema, and refuse the rest
 */
export function answerSchema(fields: readonly ContestedField[], bounded: boolean): TSchema {
  const closed = { additionalProperties: false } as const;
  const values = fields.map((field, place) => [answerKey(place), valueSchema(field, bounded)] as const);
  return Type.Object(
    {
      fields: Type.Object(Object.fromEntries(values), closed),
      confidence: bounded ? Type.Number({ minimum: 0, maximum: 1 }) : Type.Number(),
      rationale: Type.String(),
    },
    closed,
  );
}

function valueSchema(contested: ContestedField, bounded: boolean): TSchema {
  const { ours, theirs } = contested;
  if (!isFree(contested)) return Type.Enum(choicesOf(contested), { type: 'string' });
  if (typeof ours === 'boolean') return Type.Boolean();
  if (typeof ours === 'number') {
    return Number.isInteger(ours) && Number.isInteger(theirs) ? Type.Integer() : Type.Number();
  }
  if (!bounded) return Type.String();
  // A line that is to go is a person's decision: a deletion would not show that a model proposed it.
  const minLength = contested.merged === undefined ? 0 : 1;
  return Type.String({ minLength, maxLength: maxTextLength(contested) });
}

function maxTextLength({ base, ours, theirs }: ContestedField): number {
  const lengths = [base, ours, theirs].map((side) => (typeof side === 'string' ? side.length : 0));
  return lengths.reduce((sum, length) => sum + length, TEXT_MARGIN);
}

/**
 * Reads a model's answer. Whatever the texts in the question made the model say, all that can come out is a
 * value of its own type for each field that was asked about.
 *
 * @param text untrusted
 * @throws AnswerRefusedError
 */
export function readAnswer(text: string, fields: readonly ContestedField[]): ReadAnswer {
  const parsed = parseJson(text, MAX_ANSWER_DEPTH);
  if (!parsed.ok) throw new AnswerRefusedError('answer_not_json', parsed.code);
  const unstorable = findUnstorable(parsed.value);
  if (unstorable) throw new AnswerRefusedError('answer_not_allowed', unstorable.message);
  const checked = validator(answerSchema(fields, true))(parsed.value);
  if (!checked.ok) {
    throw new AnswerRefusedError('answer_not_allowed', checked.faults[0]?.message ?? 'additional fields');
  }
  const answer = checked.value as { fields: JsonObject; confidence: number; rationale: string };
  refuseUnseen(answer.fields, fields);
  return {
    changes: changesOf(answer.fields, fields),
    confidence: answer.confidence,
    rationale: displayable(answer.rationale),
  };
}

/**
 * What a person does not see in a text, or what makes them see it in another order: control and bidirectional
 * characters.
 */
const UNSEEN = /(?![\t\n\r])[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/**
 * A person accepts what they see; such a character is a model's to keep where a side has it, and not to add.
 */
function refuseUnseen(values: JsonObject, fields: readonly ContestedField[]): void {
  fields.forEach((contested, place) => {
    const value = readField(values, answerKey(place));
    if (typeof value !== 'string' || !isFree(contested)) return;
    const sides = [contested.base, contested.ours, contested.theirs].map(String).join('');
    if ((value.match(UNSEEN) ?? []).every((char) => sides.includes(char))) return;
    throw new AnswerRefusedError('answer_not_allowed', 'a text has characters that nobody sees');
  });
}

function changesOf(values: JsonObject, fields: readonly ContestedField[]): SuggestedChanges {
  const set: [string, JsonValue][] = [];
  const remove: string[] = [];
  fields.forEach((contested, place) => {
    const answered = readField(values, answerKey(place));
    const value = isFree(contested) ? answered : contested[answered as Choice];
    if (value === undefined) remove.push(contested.field);
    else set.push([contested.field, value]);
  });
  // fromEntries defines own properties, so a field of any name stays a field.
  return { set: Object.fromEntries(set), remove };
}

/** Text that a person will read: no control characters, and none that reorder what stands around them. */
function displayable(text: string): string {
  const shown = text.replace(/[\p{Cc}\u202a-\u202e\u2066-\u2069]+/gu, ' ');
  return shorten(storableText(shown), MAX_RATIONALE_LENGTH);
}

/** Lays a suggestion over an entity's data; nothing but the fields it names changes. */
export function applyChanges(data: JsonObject, { set, remove }: SuggestedChanges): JsonObject {
  const gone = new Set(remove);
  const kept = Object.entries(data).filter(([field]) => !gone.has(field));
  return Object.fromEntries([...kept, ...Object.entries(set)]);
}
