import {
  EMPTY_CLOCK,
  MAX_CLOCK_ENTRIES,
  FOLDED_REPLICA,
  canonicalClockJson,
  clockSize,
  compareCodePoints,
  counterOf,
  countChange,
  deviceReplica,
  mergeClocks,
  serviceReplica,
} from '@sync/vector-clock';
import type { VectorClock } from '@sync/vector-clock';
import { readFieldWrite, recordFieldWrites, writeIn, writeOver } from '../conflict/field-writes.ts';
import { POLICIES } from '../conflict/policies.ts';
import type { FieldWrites, Write } from '../entity.ts';
import { deepEqualJson, isJsonObject, readField } from '../json.ts';
import type { JsonObject } from '../json.ts';
import type {
  DeltaDraft,
  DomainChange,
  EntityHead,
  PoisonCode,
  ProjectionResult,
  ProjectionRule,
  ScopeGrant,
} from './projection.ts';
import {
  parseScopeTemplate,
  parseUserTemplate,
  readPath,
  renderScope,
  renderUser,
} from './scope-template.ts';
import type { ParsedTemplate } from './scope-template.ts';

/** Ends a projection; caught in `projectEvent`, the only place that can. */
class Poison extends Error {
  readonly code: PoisonCode;
  readonly path: string;
  constructor(code: PoisonCode, path: string) {
    super(code);
    this.code = code;
    this.path = path;
  }
}

/** What an event says about its entity, before it is compared with the head. */
interface View {
  readonly data: JsonObject | null;
  readonly update: string | null;
  readonly scopes: readonly string[];
  readonly grants: readonly ScopeGrant[];
}

/**
 * What one event of an owning service does to its entity: the new head, deltas per scope, scope grants.
 *
 * By revision, not by order: an event at or below the head's revision is stale, however late it comes; what it
 * says of scopes is not lost (`overtaken`). The one exception is the head's own revision under a newer schema version: then the entity is projected anew
 * (backfill after a registration changed) and keeps its clock, because nobody changed it.
 *
 * A document's increment continues the head or is `incomplete`: then the whole document has to be asked for.
 *
 * Clock: the head's merged with the owner's if it keeps one, and the owner's alone once it has folded it;
 * else the causing mutation's dot is counted, if it brings one, or one more change of the service: no two
 * changes share a clock. Grants follow the data; deletion takes all away.
 */
export function projectEvent(
  head: EntityHead | null,
  event: DomainChange,
  rule: ProjectionRule,
): ProjectionResult {
  try {
    if (!Number.isSafeInteger(event.revision) || event.revision < 0) {
      throw new Poison('revision_invalid', '/revision');
    }
    if (head !== null && isStale(head, event, rule)) return overtaken(head, event, readStale(event, rule));
    const view = readView(event, rule);
    if (isIncrement(event, rule) && !continues(head, event, view)) return { kind: 'incomplete' };
    return change(head, event, rule, view);
  } catch (error) {
    if (error instanceof Poison) return { kind: 'poison', code: error.code, path: error.path };
    throw error;
  }
}

function isStale(head: EntityHead, event: DomainChange, rule: ProjectionRule): boolean {
  if (event.revision !== head.revision) return event.revision < head.revision;
  return rule.schemaVersion <= head.schemaVersion;
}

/**
 * What is left to do about a stale event. Events of one entity go different ways where its scope changes or is
 * not known (a deletion by the service itself), so the later one may come first; it is projected then without
 * the scopes that the earlier one alone shows.
 *
 * What was deleted is known from the event right before the deletion, where the scopes of that event are all that
 * hear of the deletion: they had seen it. Where others hear of it too, it is forgotten: they might bring the
 * entity back, and would see what it had become elsewhere.
 */
function overtaken(head: EntityHead, event: DomainChange, view: View | null): ProjectionResult {
  if (view === null || event.revision === head.revision) return { kind: 'stale' };
  const known = new Set([...head.scopes, ...head.leftScopes]);
  const left = view.scopes.filter((scope) => !known.has(scope));
  if (left.length === 0) return { kind: 'stale' };
  if (!head.deleted) return { kind: 'overtaken', head, left };
  const isLast = event.revision === head.revision - 1 && head.leftScopes.length === 0;
  const deletedData = isLast ? (head.deletedData ?? view.data) : null;
  const leftScopes = [...head.leftScopes, ...left].sort(compareCodePoints);
  return { kind: 'overtaken', head: { ...head, leftScopes, deletedData }, left };
}

/** What a stale event shows; null for one that cannot be read: an old event cannot poison. */
function readStale(event: DomainChange, rule: ProjectionRule): View | null {
  try {
    return readView(event, rule);
  } catch (error) {
    if (error instanceof Poison) return null;
    throw error;
  }
}

function isIncrement(event: DomainChange, { docUpdateField }: ProjectionRule): boolean {
  return docUpdateField !== null && event.op !== 'delete' && event.isIncrement === true;
}

/**
 * Whether everybody who gets the increment has the document as it was before: no change lies in between, and
 * no scope is new.
 */
function continues(head: EntityHead | null, { revision }: DomainChange, { scopes }: View): boolean {
  if (head === null || head.deleted || revision !== head.revision + 1) return false;
  return scopes.every((scope) => head.scopes.includes(scope));
}

function readView(event: DomainChange, rule: ProjectionRule): View {
  if (event.op === 'delete') return { data: null, update: null, scopes: [], grants: [] };
  const { data } = event;
  if (!isJsonObject(data)) throw new Poison('data_not_object', '/data');
  const docField = rule.docUpdateField;
  const docUpdate = docField === null ? undefined : readField(data, docField);
  return {
    data: selectFields(data, rule),
    update: event.update ?? (typeof docUpdate === 'string' ? docUpdate : null),
    scopes: readScopes(data, event, rule),
    grants: readGrants(data, event, rule),
  };
}

function selectFields(data: JsonObject, { fields, docUpdateField }: ProjectionRule): JsonObject {
  if (fields === '*' && docUpdateField === null) return data;
  const chosen = fields === '*' ? Object.keys(data) : fields.filter((field) => Object.hasOwn(data, field));
  const entries = chosen
    .filter((field) => field !== docUpdateField)
    .map((field) => [field, data[field]] as const);
  return Object.fromEntries(entries) as JsonObject;
}

/** By the templates of a rule: they are parsed once for it, and not for each of its events. */
const SCOPE_TEMPLATES = new WeakMap<readonly string[], readonly ParsedTemplate[]>();

function scopeTemplates({ scopes }: ProjectionRule): readonly ParsedTemplate[] {
  const known = SCOPE_TEMPLATES.get(scopes) ?? scopes.map(parseScopeTemplate);
  SCOPE_TEMPLATES.set(scopes, known);
  return known;
}

function readScopes(data: JsonObject, event: DomainChange, rule: ProjectionRule): readonly string[] {
  const scopes = scopeTemplates(rule).map((parsed, index) => {
    if (!parsed.ok) throw new Poison('template_invalid', `/rule/scopes/${index}`);
    const scope = renderScope(parsed.template, data, event);
    if (scope === null) throw new Poison('scope_unrenderable', `/rule/scopes/${index}`);
    return scope;
  });
  return [...new Set(scopes)].sort(compareCodePoints);
}

function readGrants(data: JsonObject, event: DomainChange, rule: ProjectionRule): readonly ScopeGrant[] {
  const grants = new Map<string, ScopeGrant>();
  for (const [index, { scope: scopeSource, user: userSource, when }] of rule.grants.entries()) {
    if (when) {
      const value = readPath(data, when.field.split('.'));
      if (!when.in.some((candidate) => deepEqualJson(candidate, value))) continue;
    }
    const path = `/rule/grants/${index}`;
    const scopeTemplate = parseScopeTemplate(scopeSource);
    const userTemplate = parseUserTemplate(userSource);
    if (!scopeTemplate.ok || !userTemplate.ok) throw new Poison('template_invalid', path);
    const scope = renderScope(scopeTemplate.template, data, event);
    const userId = renderUser(userTemplate.template, data, event);
    if (scope === null || userId === null) throw new Poison('grant_unrenderable', path);
    grants.set(grantKey({ scope, userId }), { scope, userId });
  }
  return [...grants.entries()].sort(([a], [b]) => compareCodePoints(a, b)).map(([, grant]) => grant);
}

/** Neither part can hold a space, and a space sorts below every character that they can. */
function grantKey({ scope, userId }: ScopeGrant): string {
  return `${scope} ${userId}`;
}

function change(
  head: EntityHead | null,
  event: DomainChange,
  rule: ProjectionRule,
  view: View,
): ProjectionResult {
  const unchanged = head !== null && head.revision === event.revision;
  const clock = unchanged ? head.clock : nextClock(head?.clock ?? EMPTY_CLOCK, event);
  if (clockSize(clock) > MAX_CLOCK_ENTRIES) throw new Poison('clock_limit_exceeded', '/clock');
  const deleted = view.data === null;
  const before = head?.scopes ?? [];
  const leftScopes = deleted ? (head?.deleted ? head.leftScopes : before) : [];
  const next: EntityHead = {
    revision: event.revision,
    schemaVersion: rule.schemaVersion,
    clock,
    data: view.data,
    deleted,
    deletedData: deleted ? lastData(head) : null,
    scopes: view.scopes,
    leftScopes,
    grants: view.grants,
    fieldWrites: writesAfter(head, event, rule, view, clock),
  };
  const held = new Set((head?.grants ?? []).map(grantKey));
  const holds = new Set(view.grants.map(grantKey));
  return {
    kind: 'changed',
    head: next,
    deltas: readDeltas(unchanged ? before : [...new Set([...before, ...leftScopes])], view),
    entered: view.scopes.filter((scope) => !before.includes(scope)),
    granted: view.grants.filter((grant) => !held.has(grantKey(grant))),
    revoked: (head?.grants ?? []).filter((grant) => !holds.has(grantKey(grant))),
  };
}

function nextClock(before: VectorClock, event: DomainChange): VectorClock {
  const { clock: kept, mutationClock: cause } = event;
  if (kept !== null) return foldsOf(kept) > foldsOf(before) ? kept : mergeClocks(before, kept);
  const known = cause === null ? before : knownOf(before, cause);
  try {
    if (!bringsDot(before, event)) return countChange(known, serviceReplica(event.service));
    const device = event.mutationDeviceId === null ? null : deviceReplica(event.mutationDeviceId);
    return device === null ? known : countChange(known, device, counterOf(cause ?? known, device));
  } catch (error) {
    if (error instanceof RangeError) throw new Poison('clock_limit_exceeded', '/clock');
    throw error;
  }
}

const foldsOf = (clock: VectorClock): number => counterOf(clock, FOLDED_REPLICA);

/**
 * What a mutation's clock tells of the entity besides its own dot. Once devices were folded away, it may name
 * entries that are not there any more.
 */
function knownOf(before: VectorClock, cause: VectorClock): VectorClock {
  if (foldsOf(before) === 0) return mergeClocks(before, cause);
  const services = Object.entries(cause).filter(([replica]) => !replica.startsWith('d:'));
  return mergeClocks(before, Object.fromEntries(services));
}

/**
 * Whether the causing mutation counts on: a resolution does not, nor does a device that counts wrong (ADR
 * 0018).
 */
function bringsDot(
  before: VectorClock,
  { mutationClock: cause, mutationDeviceId: deviceId }: DomainChange,
): boolean {
  if (cause === null) return false;
  if (deviceId === null) return canonicalClockJson(knownOf(before, cause)) !== canonicalClockJson(before);
  const device = deviceReplica(deviceId);
  return counterOf(cause, device) > counterOf(before, device);
}

function lastData(head: EntityHead | null): JsonObject | null {
  return head === null ? null : (head.data ?? head.deletedData);
}

/** @param before the scopes that the entity was in, or was deleted in before it is deleted again */
function readDeltas(before: readonly string[], view: View): DeltaDraft[] {
  const op = view.update === null ? 'put' : 'merge';
  const present = view.scopes.map((scope): DeltaDraft => {
    return { scope, op, data: view.data, update: view.update };
  });
  const left = before
    .filter((scope) => !view.scopes.includes(scope))
    .map((scope): DeltaDraft => ({ scope, op: 'delete', data: null, update: null }));
  return [...present, ...left].sort((a, b) => compareCodePoints(a.scope, b.scope));
}

/**
 * The change as a write: the causing mutation's dot, else the service's own. @param before the clock of the
 * head that it changes
 */
function eventWrite(event: DomainChange, before: VectorClock, clock: VectorClock): Write {
  const { clock: kept, mutationClock: cause, mutationDeviceId, occurredAtMs: atMs } = event;
  if (mutationDeviceId === null || (kept === null && !bringsDot(before, event))) {
    const service = serviceReplica(event.service);
    return { atMs, by: service, counter: counterOf(clock, service) };
  }
  const by = deviceReplica(mutationDeviceId);
  return writeIn(clock, { atMs, by, counter: counterOf(cause ?? clock, by) });
}

/** Of a type whose decisions compare no fields, nobody asks for its writers. */
function writesAfter(
  head: EntityHead | null,
  event: DomainChange,
  rule: ProjectionRule,
  view: View,
  clock: VectorClock,
): FieldWrites {
  if (!POLICIES[rule.policy].comparesFields) return {};
  return head !== null && head.revision === event.revision
    ? keepWrites(head, view, clock, event)
    : nextWrites(head, event, rule, view, clock);
}

function nextWrites(
  head: EntityHead | null,
  event: DomainChange,
  rule: ProjectionRule,
  view: View,
  clock: VectorClock,
): FieldWrites {
  const write = eventWrite(event, head?.clock ?? EMPTY_CLOCK, clock);
  const before = lastData(head);
  const writes = recordFieldWrites(head?.fieldWrites ?? {}, before, view.data, write, {
    wasDeleted: head?.deleted ?? false,
    decided: event.decidedWrites ?? {},
  });
  if (view.update === null) return writes;
  // A document's text is no data field, but a deletion must know that somebody wrote it.
  const docField = rule.docUpdateField ?? 'update';
  return { ...writes, [docField]: writeOver(readFieldWrite(writes, docField), write) };
}

/**
 * Under a new schema the same change may show other fields; those count as written by the service, from here
 * on.
 */
function keepWrites(head: EntityHead, view: View, clock: VectorClock, event: DomainChange): FieldWrites {
  const service = serviceReplica(event.service);
  const write = { atMs: event.occurredAtMs, by: service, counter: counterOf(clock, service) };
  return head.deleted || view.data === null
    ? head.fieldWrites
    : recordFieldWrites(head.fieldWrites, head.data, view.data, write);
}
