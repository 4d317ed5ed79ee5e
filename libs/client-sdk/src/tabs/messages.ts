/** What tabs post to each other. */
import type { EngineState, EventOf } from '../engine/state.ts';
import type { Known, Told } from '../local/guarded-store.ts';

/**
 * Of the messages. Those of another version of the app say that something has happened, and not what. Only
 * `leading` and `who_leads` have the same kind in every version: else tabs of two versions, deaf to each
 * other, would take the lead from each other for ever.
 */
const VERSION = 1;

/** What the app asks of the device, in whatever tab. */
export type Command = EventOf<
  | 'start'
  | 'stop'
  | 'force_offline'
  | 'allow_network'
  | 'network_lost'
  | 'network_back'
  | 'new_token'
  | 'hint'
>;

export type Message =
  /** A commit of the sender. */
  | { readonly kind: 'stored'; readonly told: Told }
  | { readonly kind: 'leading'; readonly shown: Shown; readonly known: Known }
  | { readonly kind: 'who_leads' }
  | { readonly kind: 'command'; readonly command: Command };

/** How the leader stands with the server. */
export interface Shown {
  readonly engine: EngineState;
  /** By how much its times are before the device's clock. */
  readonly aheadMs: number;
}

const KINDS: readonly Message['kind'][] = ['stored', 'leading', 'who_leads', 'command'];

export function write(message: Message): unknown {
  return { ...message, version: VERSION };
}

/** @returns that of a message of whatever version */
export function kindOf(posted: unknown): unknown {
  return (posted as { readonly kind?: unknown } | null)?.kind;
}

/** @returns null for what this version does not know */
export function read(posted: unknown): Message | null {
  const message = posted as (Message & { readonly version?: unknown }) | null;
  if (message?.version !== VERSION || !KINDS.includes(message.kind)) return null;
  return message;
}
