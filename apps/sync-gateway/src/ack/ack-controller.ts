import { Controller, Inject, Post, Req, Res } from '@nestjs/common';
import { AckRequest, validator } from '@sync/protocol';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { callerOf } from '../access/caller.ts';
import { answerValue } from '../edge/answer.ts';
import { decodeBody } from '../edge/decode-body.ts';
import { RECORD_DEVICE_SEEN, type RecordDeviceSeen } from '../presence/record-device-seen.ts';
import { AcceptAck } from './accept-ack.ts';

const validate = validator(AckRequest);

/** `POST /sync/v1/ack` */
@Controller('sync/v1')
export class AckController {
  readonly #acceptAck: AcceptAck;
  readonly #deviceSeen: RecordDeviceSeen;

  constructor(
    @Inject(AcceptAck) acceptAck: AcceptAck,
    @Inject(RECORD_DEVICE_SEEN) deviceSeen: RecordDeviceSeen,
  ) {
    this.#acceptAck = acceptAck;
    this.#deviceSeen = deviceSeen;
  }

  @Post('ack')
  async ack(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const caller = callerOf(request);
    const body = decodeBody(request, validate);
    const carryOut = this.#acceptAck.prepare(request, body);
    this.#deviceSeen.record(caller, { clockOffsetMs: caller.clockOffsetMs, backlog: body.backlog });
    void answerValue(reply, await carryOut());
  }
}
