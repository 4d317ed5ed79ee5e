import { createHash } from 'node:crypto';
import { EMPTY_DIGEST, addToDigest, entityDigestInput, subtractFromDigest } from '@sync/domain';
import type { Digest, LocalMutation, Outcome, PullResponse, RemoteDelta } from '@sync/protocol';
import { containsClock } from '@sync/vector-clock';
import { mergeUpdates } from 'yjs';

/** What a device holds of one scope: its live entities, its cursor and its own digest, kept incrementally. */
export class ScopeReplica {
  readonly entities = new Map<string, RemoteDelta>();
  /** Every delta in the order it came, for tests of order and of exactly-once. */
  readonly log: RemoteDelta[] = [];
  cursor: string | null = null;
  /** The server's digest as of `cursor`; null while more is to be pulled. */
  serverDigest: Digest | null = null;
  private hash = EMPTY_DIGEST;

  /** Applies one page; deltas and cursor belong together, as a real device stores both in one transaction. */
  applyPage(page: PullResponse['scopes'][number]): void {
    if (page.reset) {
      this.entities.clear();
      this.hash = EMPTY_DIGEST;
    }
    for (const delta of page.deltas) this.apply(delta);
    this.cursor = page.cursor;
    this.serverDigest = page.digest ?? null;
  }

  get digest(): Digest {
    return { count: this.entities.size, hash: this.hash };
  }

  /** The digest by its definition, from nothing: what the incremental one must equal. */
  digestFromScratch(): Digest {
    const hash = [...this.entities.values()].reduce(
      (sum, delta) => addToDigest(sum, hashOf(delta)),
      EMPTY_DIGEST,
    );
    return { count: this.entities.size, hash };
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
    if (known) this.hash = subtractFromDigest(this.hash, hashOf(known));
    if (delta.op === 'delete') {
      this.entities.delete(key);
      return;
    }
    this.entities.set(key, known ? withDocument(known, delta) : delta);
    this.hash = addToDigest(this.hash, hashOf(delta));
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

function hashOf(delta: RemoteDelta): string {
  return createHash('sha256')
    .update(entityDigestInput(delta.entityType, delta.entityId, delta.clock))
    .digest('hex');
}
