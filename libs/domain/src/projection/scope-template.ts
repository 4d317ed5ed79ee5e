import { isJsonObject, readField } from '../json.ts';
import type { JsonObject, JsonValue } from '../json.ts';

/** The ids of the entity whose scope is rendered, for the placeholders `{entityType}` and `{entityId}`. */
export interface TemplateIds {
  readonly entityType: string;
  readonly entityId: string;
}

/** A parsed template: texts and placeholders in turn, starting and ending with a text. */
export interface Template {
  readonly texts: readonly string[];
  /** Each the path of a field: `userId`, `actor.account.name`. */
  readonly fields: readonly (readonly string[])[];
}

/** `reason` says what is wrong with the template, for the registration that holds it. */
export type ParsedTemplate =
  { readonly ok: true; readonly template: Template } | { readonly ok: false; readonly reason: string };

const MAX_TEMPLATE_LENGTH = 200;
const PLACEHOLDER = /\{([^{}]*)\}/g;
const FIELD_PATH = /^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*){0,7}$/;
const SCOPE = /^[a-z][a-z0-9_-]{0,31}:[A-Za-z0-9._~-]{1,128}$/;
const SCOPE_TEXT = /^[a-z][a-z0-9_-]{0,31}:/;
const USER_ID = /^[A-Za-z0-9._~-]{1,128}$/;

/** Says whether a text is a scope: `<kind>:<id>`. */
export function isScope(text: string): boolean {
  return SCOPE.test(text);
}

/** Parses a scope template such as `course:{courseId}`. The kind before the colon must be literal. */
export function parseScopeTemplate(source: string): ParsedTemplate {
  if (!SCOPE_TEXT.test(source)) {
    return { ok: false, reason: 'must start with a kind and a colon, like course:{courseId}' };
  }
  return parseTemplate(source);
}

/** Parses a template of a user id such as `{userId}`. */
export function parseUserTemplate(source: string): ParsedTemplate {
  return parseTemplate(source);
}

function parseTemplate(source: string): ParsedTemplate {
  if (source.length === 0 || source.length > MAX_TEMPLATE_LENGTH) {
    return { ok: false, reason: `must have 1 to ${MAX_TEMPLATE_LENGTH} characters` };
  }
  const texts: string[] = [];
  const fields: string[][] = [];
  let end = 0;
  for (const match of source.matchAll(PLACEHOLDER)) {
    const path = match[1] as string;
    if (!FIELD_PATH.test(path)) return { ok: false, reason: `{${path}} is not the path of a field` };
    texts.push(source.slice(end, match.index));
    fields.push(path.split('.'));
    end = match.index + match[0].length;
  }
  texts.push(source.slice(end));
  if (texts.some((text) => /[{}]/.test(text))) return { ok: false, reason: 'has an unpaired brace' };
  return { ok: true, template: { texts, fields } };
}

/** The scope, or `null` when a field is missing, not a string, or would make no valid scope. */
export function renderScope(template: Template, data: JsonObject, ids: TemplateIds): string | null {
  const scope = render(template, data, ids);
  return scope !== null && SCOPE.test(scope) ? scope : null;
}

/** The user id, or `null` when a field is missing, not a string, or would make no valid user id. */
export function renderUser(template: Template, data: JsonObject, ids: TemplateIds): string | null {
  const userId = render(template, data, ids);
  return userId !== null && USER_ID.test(userId) ? userId : null;
}

function render({ texts, fields }: Template, data: JsonObject, ids: TemplateIds): string | null {
  let rendered = texts[0] as string;
  for (const [index, path] of fields.entries()) {
    const value = fieldOrId(path, data, ids);
    if (typeof value !== 'string') return null;
    rendered += value + (texts[index + 1] as string);
  }
  return rendered;
}

function fieldOrId(path: readonly string[], data: JsonObject, ids: TemplateIds): JsonValue | undefined {
  // The ids win over data fields of these names: an entity must not be able to rename itself into another
  // scope.
  if (path.length === 1 && path[0] === 'entityId') return ids.entityId;
  if (path.length === 1 && path[0] === 'entityType') return ids.entityType;
  return readPath(data, path);
}

/** The value at a path of field names; `undefined` when it leads nowhere. Own fields only. */
export function readPath(data: JsonObject, path: readonly string[]): JsonValue | undefined {
  let value: JsonValue | undefined = data;
  for (const field of path) {
    if (!isJsonObject(value)) return undefined;
    value = readField(value, field);
  }
  return value;
}
