import type { MessagingLogger } from '@sync/messaging';

/** The part of a pino logger that is used. */
export type OwnerLogger = MessagingLogger;

/** What became of one push request. */
export interface PushReport {
  readonly entityType: string;
  readonly applied: number;
  readonly rejected: number;
  readonly conflicts: number;
  /** Left without an answer because a handler or the store threw; the gateway sends these again. */
  readonly unanswered: number;
  readonly durationMs: number;
}

/** Where the SDK reports; every call is cheap and synchronous. */
export interface OwnerMetrics {
  /** A push request was answered. */
  pushed(report: PushReport): void;
  /** False while the gateway has not accepted the registration. */
  registered(accepted: boolean): void;
}

/** Metrics that go nowhere, the default. */
export const noOwnerMetrics: OwnerMetrics = { pushed: () => undefined, registered: () => undefined };
