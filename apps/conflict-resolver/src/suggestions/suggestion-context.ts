import type { Database, Tx } from '@sync/postgres';
import type { Logger } from '@sync/service-kit';
import type { AIConfig } from './ai-config.ts';

/** What the use cases of suggestions stand on. */
export interface SuggestionContext {
  readonly database: Database;
  /** Null: no endpoint is configured, and nothing is ever asked. */
  readonly ai: AIConfig | null;
  readonly logger: Logger;
  readonly now: () => Date;
  /**
   * Shows a changed suggestion to the conflict's user: the record is synced as data. Inside the transaction
   * of the change.
   */
  readonly announce: (tx: Tx, tenantId: string, conflictId: string) => Promise<void>;
  /** After a commit that left something to do or to send. */
  readonly committed: () => void;
}
