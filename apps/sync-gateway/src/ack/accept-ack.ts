import type { AckRequest, AckResult } from '@sync/protocol';
import type { FastifyRequest } from 'fastify';
import { callerOf } from '../access/caller.ts';
import { refuseRepeated } from '../edge/refuse-repeated.ts';
import type { CursorTokens } from '../pull/cursor-token.ts';
import { refuseForged } from '../pull/decode-pull.ts';
import type { AckCursors } from './ack-cursors.ts';

/** Acks of devices: those of `POST /sync/v1/ack`, and those inside of pushes and pulls (ACK-5). */
export class AcceptAck {
  readonly #tokens: CursorTokens;
  readonly #ackCursors: AckCursors;

  constructor(tokens: CursorTokens, ackCursors: AckCursors) {
    this.#tokens = tokens;
    this.#ackCursors = ackCursors;
  }

  /**
   * Checks an ack, and leaves everything as it is.
   * @param path JSON Pointer of the ack in its request
   * @returns carries it out; repeated, it does nothing more
   * @throws ProblemError `schema_invalid` or `cursor_invalid`, each with the offending paths
   */
  prepare(
    request: FastifyRequest,
    { cursors = [], outcomes = [], purged = [] }: AckRequest,
    path = '',
  ): () => Promise<AckResult> {
    const caller = callerOf(request);
    request.work?.count({ ackElement: cursors.length + outcomes.length + purged.length });
    refuseRepeated(
      cursors.map(({ scope }) => scope),
      (at) => `${path}/cursors/${at}/scope`,
    );
    const forged: string[] = [];
    const acked = cursors.flatMap(({ scope, cursor, digest }, at) => {
      const position = this.#tokens.read(caller, scope, cursor);
      if (!position) forged.push(`${path}/cursors/${at}/cursor`);
      return position ? [{ scope, position, digest }] : [];
    });
    refuseForged(forged);
    const ack = { cursors: acked, outcomes, purged };
    return async () => ({ cursors: await this.#ackCursors.ack(caller, ack) });
  }
}
