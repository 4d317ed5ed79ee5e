import { ByteReader } from './byte-reader.ts';
import { RefusedUpdateError } from './refusal.ts';

/** The structs of one clientID: the clocks `from` (inclusive) to `to` (exclusive), without a gap. */
export interface ClientRun {
  readonly client: number;
  readonly from: number;
  readonly to: number;
}

/** A run with where its structs are in the bytes. */
export interface StructRun extends ClientRun {
  /** The clock of each struct. */
  readonly clocks: readonly number[];
  /** The byte at which each struct begins. */
  readonly starts: readonly number[];
  /** The byte behind the last one. */
  readonly end: number;
}

/** What an update does, without its content. */
export interface UpdateOutline {
  /** Highest clientID first, each once, which is the order that merging two updates relies on. */
  readonly runs: readonly StructRun[];
  /**
   * What structs of one clientID need of another: four numbers each, [index in `runs`, clock of the struct,
   * clientID, clock]. Flat, because an update has up to three per struct.
   */
  readonly references: readonly number[];
  /** Shared types inside shared types: two numbers each, [index in `runs`, clock]. */
  readonly nestedTypes: readonly number[];
  /** Deleted ranges: three numbers each, [clientID, from clock, length]. */
  readonly deletes: readonly number[];
}

const GC = 0;
const SKIP = 10;
const HAS_ORIGIN = 0x80;
const HAS_RIGHT_ORIGIN = 0x40;
const HAS_KEY = 0x20;
/** XmlElement and XmlHook carry a name. */
const NAMED_TYPES = new Set([3, 5]);
const LAST_TYPE = 6;

const invalid = (detail: string): RefusedUpdateError => new RefusedUpdateError('update_invalid', detail);

/**
 * Reads an update (V1) by its bytes alone. Stricter than Yjs, which takes what no Yjs writes: structs of
 * length 0, a clientID twice, clientIDs in any order, bytes behind the end. `Y.decodeUpdate` was the
 * alternative; it builds every value, follows nesting until the stack ends, and does not see the last byte.
 *
 * @throws RefusedUpdateError
 */
export function readUpdate(update: Uint8Array): UpdateOutline {
  const reader = new ByteReader(update);
  const structs = new StructReader(reader);
  const runs = structs.runs();
  const deletes = readDeletes(reader);
  if (reader.left > 0) throw invalid(`${reader.left} bytes follow its end; encoding V2 is not taken`);
  const { references, nestedTypes } = structs;
  return { runs, references, nestedTypes, deletes };
}

function readDeletes(reader: ByteReader): number[] {
  const deletes: number[] = [];
  for (let clients = reader.count('clientIDs with deletions'); clients > 0; clients -= 1) {
    const client = reader.varUint();
    for (let ranges = reader.count('deleted ranges'); ranges > 0; ranges -= 1) {
      const from = reader.varUint();
      const length = reader.varUint();
      if (length === 0) throw invalid('it deletes nothing');
      deletes.push(client, from, length);
    }
  }
  return deletes;
}

/** One pass over the structs; `references` and `nestedTypes` are complete when `runs()` has returned. */
class StructReader {
  readonly references: number[] = [];
  readonly nestedTypes: number[] = [];
  private readonly reader: ByteReader;
  // The struct that is being read.
  private run = 0;
  private client = 0;
  private clock = 0;

  constructor(reader: ByteReader) {
    this.reader = reader;
  }

  runs(): StructRun[] {
    const { reader } = this;
    const clients = reader.count('clientIDs');
    const runs: StructRun[] = [];
    let previous = Infinity;
    for (this.run = 0; this.run < clients; this.run += 1) {
      const structs = reader.count('structs');
      if (structs === 0) throw invalid('a clientID has no structs');
      this.client = reader.varUint();
      if (this.client >= previous) throw invalid('its clientIDs are not in descending order');
      previous = this.client;
      const from = reader.varUint();
      this.clock = from;
      const clocks: number[] = [];
      const starts: number[] = [];
      for (let index = 0; index < structs; index += 1) {
        clocks.push(this.clock);
        starts.push(reader.position);
        this.clock += this.struct();
      }
      runs.push({ client: this.client, from, to: this.clock, clocks, starts, end: reader.position });
    }
    return runs;
  }

  /** @returns the struct's length, at least 1 */
  private struct(): number {
    const info = this.reader.uint8();
    const length = this.lengthOf(info);
    if (length === 0) throw invalid('a struct has length 0');
    if (this.clock + length > Number.MAX_SAFE_INTEGER) throw invalid('a clock is too large');
    return length;
  }

  private lengthOf(info: number): number {
    if (info === GC) return this.reader.varUint();
    if (info === SKIP) {
      throw new RefusedUpdateError('update_incomplete', `a gap at clock ${this.clock} of ${this.client}`);
    }
    if (info & HAS_ORIGIN) this.reference();
    if (info & HAS_RIGHT_ORIGIN) this.reference();
    if ((info & (HAS_ORIGIN | HAS_RIGHT_ORIGIN)) === 0) this.parent(info);
    return this.content(info & 0x1f);
  }

  private parent(info: number): void {
    const kind = this.reader.varUint();
    if (kind === 1) this.reader.skipKey();
    else if (kind === 0) this.reference();
    else throw invalid(`${kind} is no kind of parent`);
    if (info & HAS_KEY) this.reader.skipKey();
  }

  private reference(): void {
    const client = this.reader.varUint();
    const clock = this.reader.varUint();
    if (client !== this.client) this.references.push(this.run, this.clock, client, clock);
    // Yjs does not look for what its own clientID lacks and throws in the middle of the document.
    else if (clock >= this.clock) throw invalid('a struct refers to itself or to a later one');
  }

  private content(kind: number): number {
    const { reader } = this;
    switch (kind) {
      case 1: // deleted content, of which only the length is left
        return reader.varUint();
      case 2: {
        const elements = reader.count('JSON values');
        for (let index = 0; index < elements; index += 1) reader.skipJson(true);
        return elements;
      }
      case 3:
        reader.skipBuffer();
        return 1;
      case 4:
        return reader.text().length;
      case 5:
        reader.skipJson(false);
        return 1;
      case 6:
        reader.skipKey();
        reader.skipJson(false);
        return 1;
      case 7:
        this.type();
        return 1;
      case 8: {
        const values = reader.count('values');
        for (let index = 0; index < values; index += 1) reader.skipAny();
        return values;
      }
      case 9:
        throw new RefusedUpdateError('content_not_allowed', 'a sub-document');
      default:
        throw invalid(`${kind} is no kind of content`);
    }
  }

  private type(): void {
    this.nestedTypes.push(this.run, this.clock);
    const type = this.reader.varUint();
    if (type > LAST_TYPE) throw invalid(`${type} is no shared type`);
    if (NAMED_TYPES.has(type)) this.reader.skipKey();
  }
}
