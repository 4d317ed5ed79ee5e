import { createHash } from 'node:crypto';
import type { Digest, LocalMutation, Outcome, PullResponse, RemoteDelta } from '@sync/protocol';
import { containsClock } from '@sync/vector-clock';
import { mergeUpdates } from 'yjs';

/** What a device holds of one scope: its live entities and its cursor. */
export class ScopeReplica {
  readonly entities = new Map<string, RemoteDelta>();
  /** Every delta in the order it came, for tests of order and of exactly-once. */
  readonly log: RemoteDelta[] = [];
  cursor: string | null = null;
  /** The server's digest as of `cursor`; null while more is to be pulled. */
  serverDigest: Digest | null = null;

  /** Applies one page; deltas and cursor belong together, as a real device stores both in one transaction. */
  applyPage(page: PullResponse['scopes'][number]): void {
    if (page.reset) this.entities.clear();
    for (const delta of page.deltas) this.apply(delta);
    this.cursor = page.cursor;
    this.serverDigest = page.digest ?? null;
  }

  /**
   * By the words of PULL-6, from nothing each time, and with no code of the platform: a kit that shared it
   * would find no mistake in it.
   */
  get digest(): Digest {
    let sum = 0n;
    for (const delta of this.entities.values()) sum += BigInt(`0x${hashOf(delta)}`);
    return { count: this.entities.size, hash: (sum % 2n ** 256n).toString(16).padStart(64, '0') };
  }

  /**
   * Whether what became of the mutation is here. Equal digests do not say so: an outcome may come before its
   * delta, and until then device and server agree on a state in the middle.
   */
  shows(mutation: LocalMutation, outcome: Outcome | undefined): boolean {
    if (outcome === undefined || outcome.status === 'accepted') return false;
    if (outcome.status !== 'applied' && outcome.status !== 'merged') return true;
    const held = this.entities.get(`${mutation.entityType}/${mutation.entityId}`);
    return held ? containsClock(held.clock, outcome.clock ?? {}) : mutation.op === 'delete';
  }

  private apply(delta: RemoteDelta): void {
    this.log.push(delta);
    const key = `${delta.entityType}/${delta.entityId}`;
    const known = this.entities.get(key);
    if (delta.op === 'delete') {
      this.entities.delete(key);
      return;
    }
    this.entities.set(key, known ? withDocument(known, delta) : delta);
  }
}

/**
 * A delta of a document brings the whole of it or an increment, and either is merged into what is held: into
 * the document of the same epoch.
 */
function withDocument(known: RemoteDelta, delta: RemoteDelta): RemoteDelta {
  if (known.update === undefined || delta.update === undefined) return delta;
  if (known.data?.['epoch'] !== delta.data?.['epoch']) return delta;
  const updates = [known.update, delta.update].map((update) => Buffer.from(update, 'base64'));
  return { ...delta, update: Buffer.from(mergeUpdates(updates)).toString('base64') };
}

function hashOf({ entityType, entityId, clock }: RemoteDelta): string {
  const entries = Object.entries(clock).filter(([, counter]) => counter > 0);
  entries.sort(([one], [other]) => (one < other ? -1 : 1));
  const text = [entityType, entityId, JSON.stringify(Object.fromEntries(entries))].join('\0');
  return createHash('sha256').update(text).digest('hex');
}
