import { readJson } from '@sync/domain';
import { decodeStateVector } from '@sync/documents';
import type { DocumentPool } from '@sync/documents/node';
import type { RemoteDelta } from '@sync/protocol';
import type { AskedScope, HeldDocument, PageRow, PullRow } from './pull-store.ts';

/** An increment is smaller than what it costs to look whether a part of it is known. */
const WORTH_LENGTH = 1_024;

/**
 * Sends devices what they lack of a document instead of all of it. What cannot be compared (another epoch, a
 * pool that is busy, bytes that are no update) is sent as it is: larger than it need be, never wrong.
 */
export class SendDifferences {
  readonly #pool: Pick<DocumentPool, 'run'>;
  readonly #onSaved: (bytes: number) => void;

  /** @param onSaved told how much shorter an answer became */
  constructor(pool: Pick<DocumentPool, 'run'>, onSaved: (bytes: number) => void = () => undefined) {
    this.#pool = pool;
    this.#onSaved = onSaved;
  }

  /** The rows as they are to be answered; the same ones when no document is held. */
  async inPages(rows: readonly PullRow[], asked: readonly AskedScope[]): Promise<readonly PullRow[]> {
    if (!rows.some((row) => row.kind === 'scope' && row.held.length > 0)) return rows;
    const byScope = new Map(asked.map((each) => [each.scope, each.documents ?? []]));
    return Promise.all(
      rows.map(async (row) =>
        row.kind === 'scope' && row.held.length > 0 ? this.#inPage(row, byScope.get(row.scope) ?? []) : row,
      ),
    );
  }

  async #inPage(page: PageRow, documents: readonly HeldDocument[]): Promise<PageRow> {
    const parts = [...page.parts];
    await Promise.all(
      page.held.map(async (place) => {
        const wire = parts[place] ?? '';
        const shorter = wire.length < WORTH_LENGTH ? null : await this.#difference(wire, documents);
        if (shorter === null) return;
        parts[place] = shorter;
        this.#onSaved(wire.length - shorter.length);
      }),
    );
    return { ...page, parts };
  }

  async #difference(wire: string, documents: readonly HeldDocument[]): Promise<string | null> {
    // The projector writes `update` last, and its alphabet has no quotes: nothing large is parsed, and the
    // rest stays byte for byte what it is.
    const at = wire.lastIndexOf(',"update":"');
    if (at < 0 || !wire.endsWith('"}')) return null;
    const { entityType, entityId, data } = readJson(`${wire.slice(0, at)}}`) as RemoteDelta;
    const held = documents.find((one) => one.entityType === entityType && one.entityId === entityId);
    if (held === undefined || data?.['epoch'] !== held.epoch) return null;
    const update = wire.slice(at + ',"update":"'.length, -2);
    const input = { state: Buffer.from(update, 'base64'), stateVector: decodeStateVector(held.stateVector) };
    const difference = await this.#pool.run('diff', input).catch(() => null);
    if (difference === null) return null;
    const text = Buffer.from(difference).toString('base64');
    return text.length < update.length ? `${wire.slice(0, at)},"update":"${text}"}` : null;
  }
}
