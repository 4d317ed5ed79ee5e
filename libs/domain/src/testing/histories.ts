/** Arbitrary causal histories of one entity, and the order-free answer to how they must end. */
import { containsDot } from '@sync/vector-clock';
import fc from 'fast-check';
import { compareWrites } from '../conflict/field-writes.ts';
import { mutationWrite } from '../entity.ts';
import type { MutationInput } from '../entity.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import { mutationOf, seenClock } from './server-model.ts';

/** What every history starts from: written by the service at time 0 and seen by every device. */
export const INITIAL = { f: 'f0', g: 'g0', h: 'h0' };
export const INITIAL_CLOCK = { 's:svc': 1 };

export interface HistoryOptions {
  readonly ops: readonly ('patch' | 'put' | 'delete')[];
  /** Whether two mutations may write the same value. */
  readonly equalValues: boolean;
  /** Whether some write null, which removes the field (`ServerModelOptions.leavesOutNull`). */
  readonly nulls?: boolean;
  /** Whether devices may have seen each other's mutations. */
  readonly causal: boolean;
  /** Whether a device's time may go back behind what it has seen. */
  readonly wildTimes?: boolean;
  readonly maxLength: number;
  /** Whether it begins with a device that deletes the entity and makes it anew. */
  readonly remade?: boolean;
}

/**
 * Mutations in an order that respects causality. A device has seen its own earlier mutations, whatever else
 * the draw says it has seen, and everything that those had seen; times grow along causality unless they are
 * `wildTimes`.
 */
export function history(options: HistoryOptions): fc.Arbitrary<MutationInput[]> {
  const field = fc.constantFrom('f', 'g', 'x');
  const value = fc.nat({ max: 2 });
  const step = fc.record({
    device: fc.constantFrom('a', 'b', 'c'),
    op: fc.constantFrom(...options.ops),
    data: fc.dictionary(field, options.nulls ? fc.option(value) : value, {
      minKeys: 1,
      noNullPrototype: true,
    }),
    sees: options.causal ? fc.array(fc.nat({ max: 5 })) : fc.constant([]),
    laterMs: fc.integer({ min: options.wildTimes ? -6 : 1, max: 6 }),
  });
  const steps = fc.array(step, { minLength: 2, maxLength: options.maxLength });
  const remade = fc.tuple(step, step).map(([first, second]): Step[] => [
    { ...first, device: 'a', op: 'delete' },
    { ...second, device: 'a', op: 'put' },
  ]);
  return fc
    .tuple(options.remade ? remade : fc.constant([]), steps)
    .map(([first, rest]) => buildHistory([...first, ...rest].slice(0, options.maxLength), options));
}

interface Step {
  readonly device: string;
  readonly op: 'patch' | 'put' | 'delete';
  readonly data: JsonObject;
  readonly sees: readonly number[];
  readonly laterMs: number;
}

function buildHistory(steps: readonly Step[], { equalValues }: HistoryOptions): MutationInput[] {
  const built: { mutation: MutationInput; seen: Set<number> }[] = [];
  for (const [index, { device, op, data, sees, laterMs }] of steps.entries()) {
    const own = built.flatMap(({ mutation }, at) => (mutation.deviceId === device ? [at] : []));
    const direct = [...own, ...sees.filter((at) => at < index)];
    const seen = new Set(direct.flatMap((at) => [at, ...(built[at]?.seen ?? [])]));
    const known = [...seen].flatMap((at) => built[at]?.mutation ?? []);
    const afterDelete = known.some((mutation) => mutation.op === 'delete');
    const values = Object.entries(data).map(([field, value]): [string, JsonValue] => {
      return [field, equalValues || value === null ? value : `${field} by m${index}`];
    });
    const mutation = mutationOf({
      mutationId: `m${index}`,
      deviceId: device,
      // Nobody patches what he knows to be deleted.
      op: afterDelete && op === 'patch' ? 'put' : op,
      data: op === 'delete' ? null : Object.fromEntries(values),
      baseClock: seenClock(INITIAL_CLOCK, known),
      occurredAtMs: Math.max(0, ...known.map(({ occurredAtMs }) => occurredAtMs)) + laterMs,
    });
    built.push({ mutation, seen });
  }
  return built.map(({ mutation }) => mutation);
}

/** Whether the device that made `later` had seen `earlier`. */
export function hadSeen(later: MutationInput, earlier: MutationInput): boolean {
  const { by, counter } = mutationWrite(earlier);
  return containsDot(later.baseClock, by, counter);
}

/** Whether neither device had seen the other's mutation. */
export function areConcurrent(a: MutationInput, b: MutationInput): boolean {
  return a !== b && !hadSeen(a, b) && !hadSeen(b, a);
}

/** Every order of the mutations that respects causality. */
export function* linearExtensions(mutations: readonly MutationInput[]): Generator<MutationInput[]> {
  if (mutations.length === 0) yield [];
  for (const first of mutations) {
    if (mutations.some((other) => other !== first && hadSeen(first, other))) continue;
    for (const rest of linearExtensions(mutations.filter((other) => other !== first))) yield [first, ...rest];
  }
}

/** The greatest mutation in last-writer order. */
export function latestOf(mutations: readonly MutationInput[]): MutationInput | undefined {
  return mutations.toSorted((a, b) => compareWrites(mutationWrite(a), mutationWrite(b))).at(-1);
}

/**
 * How a history without deletes ends, by definition and without looking at an order: each field has the value
 * of its greatest write, unless that is null or a put that had seen that write left the field out.
 */
export function expectedData(mutations: readonly MutationInput[]): JsonObject {
  const fields = new Set([
    ...Object.keys(INITIAL),
    ...mutations.flatMap(({ data }) => Object.keys(data ?? {})),
  ]);
  const end: [string, JsonValue][] = [];
  for (const field of fields) {
    const last = latestOf(mutations.filter(({ data }) => data !== null && Object.hasOwn(data, field)));
    const value = last ? last.data?.[field] : (INITIAL as JsonObject)[field];
    const removed = mutations.some((put) => {
      return put.op === 'put' && !Object.hasOwn(put.data ?? {}, field) && (!last || hadSeen(put, last));
    });
    if (value !== undefined && value !== null && !removed) end.push([field, value]);
  }
  return Object.fromEntries(end);
}
