import { canonicalJson, isJsonObject, type JsonObject, type JsonValue } from '@sync/domain';
import {
  type ChainAnchor,
  type ChainFault,
  type ChainPoint,
  endFault,
  hashText,
  linkFault,
  positionAfter,
} from '@sync/postgres';

/** What an export came to. */
export interface VerifiedExport {
  readonly tenantId: string;
  /** Lines that are whole. */
  readonly checked: number;
  /** The last of them. */
  readonly end: ChainPoint;
  readonly broken: ChainFault | null;
}

/** Thrown for what is no export at all. */
export class NoExportError extends Error {
  override readonly name = 'NoExportError';
}

/**
 * Verifies an export of the audit log without the platform: every hash is computed again from the line's
 * canonical JSON, every line names the one before it, none is missing, and the last is the one that the
 * database had counted.
 *
 * @param lines of `GET /admin/v1/audit/export`: a head, entries, an end
 * @throws NoExportError when the first line is no head
 */
export async function verifyExport(lines: AsyncIterable<string> | Iterable<string>): Promise<VerifiedExport> {
  let walk: Walk | null = null;
  for await (const line of lines) {
    if (walk === null) walk = new Walk(headOf(line));
    else if (!walk.take(line)) break;
  }
  if (walk === null) throw new NoExportError('An empty file is no export');
  return walk.result();
}

interface Head {
  readonly tenantId: string;
  readonly start: ChainPoint;
}

/**
 * ```
 * walking ─▶ ended    the line `end` fits
 *         └▶ broken   the first line that does not
 * ```
 */
class Walk {
  readonly #tenantId: string;
  #before: ChainPoint;
  #checked = 0;
  #broken: ChainFault | null = null;
  #isEnded = false;

  constructor({ tenantId, start }: Head) {
    this.#tenantId = tenantId;
    this.#before = start;
  }

  /** @returns whether there is anything left to verify */
  take(line: string): boolean {
    const object = objectIn(line);
    if (this.#isEnded) this.#broken = this.#fault('a line behind the end');
    else if (isJsonObject(object['end'])) this.#end(object['end']);
    else this.#entry(object);
    return this.#broken === null;
  }

  result(): VerifiedExport {
    const cut = this.#isEnded ? null : this.#fault('the export ends without its last line');
    return {
      tenantId: this.#tenantId,
      checked: this.#checked,
      end: this.#before,
      broken: this.#broken ?? cut,
    };
  }

  #entry({ hash = '', ...fields }: JsonObject): void {
    const position = textOf(fields['position']);
    const text = canonicalOf(fields);
    this.#broken = /^[1-9]\d{0,18}$/.test(position)
      ? linkFault({ position, text, hash: textOf(hash) }, this.#before)
      : this.#fault('no entry');
    if (this.#broken === null && fields['tenantId'] !== this.#tenantId)
      this.#broken = this.#fault('an entry of another tenant');
    if (this.#broken !== null) return;
    this.#before = { position, hash: hashText(text) };
    this.#checked += 1;
  }

  #end({ position, hash, entries }: JsonObject): void {
    this.#isEnded = true;
    const anchor: ChainAnchor = { entries: textOf(entries), hash: textOf(hash) };
    this.#broken =
      position === this.#before.position && /^\d{1,19}$/.test(anchor.entries)
        ? endFault(anchor, this.#before)
        : this.#fault(`the export says that it ends at ${textOf(position)}`);
  }

  #fault(detail: string): ChainFault {
    return { position: positionAfter(this.#before.position), fault: 'entry_missing', detail };
  }
}

function headOf(line: string): Head {
  const { head } = objectIn(line);
  if (!isJsonObject(head)) throw new NoExportError('The first line is no head of an export');
  const { tenantId, after, hash } = head;
  if (typeof tenantId !== 'string' || typeof hash !== 'string' || !/^\d{1,19}$/.test(textOf(after)))
    throw new NoExportError('The head of the export cannot be read');
  return { tenantId, start: { position: textOf(after), hash } };
}

/** '' for what has none: `1e999` is read as a number that JSON has not. */
function canonicalOf(fields: JsonObject): string {
  try {
    return canonicalJson(fields);
  } catch {
    return '';
  }
}

/** '' for what is no text. */
function textOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : '';
}

function objectIn(line: string): JsonObject {
  try {
    const value = JSON.parse(line) as JsonValue;
    return isJsonObject(value) ? value : {};
  } catch {
    return {};
  }
}
