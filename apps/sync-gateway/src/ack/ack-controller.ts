import { Controller, Inject, Post, Req, Res } from '@nestjs/common';
import { AckRequest, validator } from '@sync/protocol';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Caller, callerOf } from '../access/caller.ts';
import { answerValue } from '../edge/answer.ts';
import { decodeBody } from '../edge/decode-body.ts';
import { refuseRepeated } from '../edge/refuse-repeated.ts';
import { RECORD_DEVICE_SEEN, type RecordDeviceSeen } from '../presence/record-device-seen.ts';
import { CursorTokens } from '../pull/cursor-token.ts';
import { refuseForged } from '../pull/decode-pull.ts';
import type { AckedCursor } from './ack-store.ts';
import { AckCursors } from './ack-cursors.ts';

const validate = validator(AckRequest);

/** `POST /sync/v1/ack` */
@Controller('sync/v1')
export class AckController {
  readonly #ackCursors: AckCursors;
  readonly #tokens: CursorTokens;
  readonly #deviceSeen: RecordDeviceSeen;

  constructor(
    @Inject(AckCursors) ackCursors: AckCursors,
    @Inject(CursorTokens) tokens: CursorTokens,
    @Inject(RECORD_DEVICE_SEEN) deviceSeen: RecordDeviceSeen,
  ) {
    this.#ackCursors = ackCursors;
    this.#tokens = tokens;
    this.#deviceSeen = deviceSeen;
  }

  @Post('ack')
  async ack(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const caller = callerOf(request);
    const { cursors = [], outcomes = [], purged = [], backlog } = decodeBody(request, validate);
    request.work?.count({ ackElement: cursors.length + outcomes.length + purged.length });
    refuseRepeated(
      cursors.map(({ scope }) => scope),
      (at) => `/cursors/${at}/scope`,
    );
    const acked = this.#readCursors(caller, cursors);
    this.#deviceSeen.record(caller, { clockOffsetMs: caller.clockOffsetMs, backlog });
    void answerValue(reply, {
      cursors: await this.#ackCursors.ack(caller, { cursors: acked, outcomes, purged }),
    });
  }

  #readCursors(caller: Caller, cursors: NonNullable<AckRequest['cursors']>): AckedCursor[] {
    const forged: string[] = [];
    const acked = cursors.flatMap(({ scope, cursor, digest }, at) => {
      const position = this.#tokens.read(caller, scope, cursor);
      if (!position) forged.push(`/cursors/${at}/cursor`);
      return position ? [{ scope, position, digest }] : [];
    });
    refuseForged(forged);
    return acked;
  }
}
