/** What a crash test says to a process of the stack. Internal. */
import Type, { type Static } from 'typebox';

/**
 * Where a crash test may end a process: between receiving work and answering for it, on both sides of
 * everything durable.
 */
export const FAULT_PLACES = [
  /** gateway: the push is in the ledger, nobody has been asked */
  'push.received',
  /** gateway: it is decided, and kept where that matters; no owner has been asked */
  'push.decided',
  /** gateway: owners have answered, no outcome is stored */
  'push.settled',
  /** gateway: outcomes are stored, the device has no answer */
  'push.completed',
  /** owner: a batch has come, nothing is done */
  'push.requested',
  /** owner: everything is written, nothing is committed */
  'push.written',
  /** owner: committed, the gateway has no answer */
  'push.committed',
  /** consumer: effects and watermark are written, nothing is committed */
  'batch.handled',
  /** consumer: committed, the broker has no ack */
  'batch.committed',
  /** producer: JetStream has the messages, the outbox does not know it */
  'relay.published',
] as const;
export type FaultPlace = (typeof FAULT_PLACES)[number];

/** Arms a place of a process, or disarms it. */
export const FaultRequest = Type.Object(
  {
    place: Type.Optional(Type.Enum([...FAULT_PLACES])),
    hits: Type.Optional(Type.Integer({ minimum: 1, description: 'At which arrival it dies; default 1.' })),
  },
  { $id: 'FaultRequest' },
);
export type FaultRequest = Static<typeof FaultRequest>;

/** A process that was killed comes back with another `pid` and nothing armed. */
export const FaultState = Type.Object(
  { pid: Type.Integer({ minimum: 1 }), place: Type.Union([Type.Enum([...FAULT_PLACES]), Type.Null()]) },
  { $id: 'FaultState' },
);
export type FaultState = Static<typeof FaultState>;
