import { Controller, Inject, Post, Req, Res } from '@nestjs/common';
import type { AckResult } from '@sync/protocol';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { callerOf } from '../access/caller.ts';
import { AcceptAck } from '../ack/accept-ack.ts';
import { answerPieces as sendPieces } from '../edge/answer.ts';
import { RECORD_DEVICE_SEEN, type RecordDeviceSeen } from '../presence/record-device-seen.ts';
import { answerPieces } from './compose-answer.ts';
import { CursorTokens } from './cursor-token.ts';
import { type DecodedPull, decodePull } from './decode-pull.ts';
import { PullScopes } from './pull-scopes.ts';

/** `POST /sync/v1/pull` */
@Controller('sync/v1')
export class PullController {
  readonly #pullScopes: PullScopes;
  readonly #tokens: CursorTokens;
  readonly #acceptAck: AcceptAck;
  readonly #deviceSeen: RecordDeviceSeen;

  constructor(
    @Inject(PullScopes) pullScopes: PullScopes,
    @Inject(CursorTokens) tokens: CursorTokens,
    @Inject(AcceptAck) acceptAck: AcceptAck,
    @Inject(RECORD_DEVICE_SEEN) deviceSeen: RecordDeviceSeen,
  ) {
    this.#pullScopes = pullScopes;
    this.#tokens = tokens;
    this.#acceptAck = acceptAck;
    this.#deviceSeen = deviceSeen;
  }

  @Post('pull')
  async pull(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const caller = callerOf(request);
    const { pull, acked } = await this.#begin(request);
    request.limit?.extend(pull.waitMs);
    const gone = new AbortController();
    if (pull.waitMs > 0) reply.raw.once('close', () => gone.abort());
    const answer = await this.#pullScopes.pull(caller, pull, gone.signal, () => request.work?.leave());
    if (gone.signal.aborted) return;
    void sendPieces(reply, answerPieces(answer, new Date().toISOString(), acked));
  }

  /**
   * Everything before a wait: what was sent with the pull is nobody's any more afterwards.
   * @throws ProblemError and then nothing was carried out; the driver's error when the database is away
   */
  async #begin(request: FastifyRequest): Promise<{ readonly pull: DecodedPull; readonly acked?: AckResult }> {
    const caller = callerOf(request);
    const { ack, ...pull } = decodePull(request, caller, this.#tokens);
    const carryOut = ack && this.#acceptAck.prepare(request, ack, '/ack');
    this.#deviceSeen.record(caller, { clockOffsetMs: caller.clockOffsetMs, backlog: pull.backlog });
    if (beginsAnew(pull)) request.work?.demand('resync');
    return carryOut ? { pull, acked: await carryOut() } : { pull };
  }
}

/** Some scope is asked for from its beginning: what a device has of it, if anything, is as good meanwhile. */
function beginsAnew({ asked }: DecodedPull): boolean {
  return asked === null || asked.some(({ token }) => token === null);
}
