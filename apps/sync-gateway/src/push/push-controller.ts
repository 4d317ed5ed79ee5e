import { Controller, Inject, Post, Req, Res } from '@nestjs/common';
import { PushEnvelope, validator } from '@sync/protocol';
import type { Logger } from '@sync/service-kit';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { callerOf } from '../access/caller.ts';
import { AcceptAck } from '../ack/accept-ack.ts';
import { answerText } from '../edge/answer.ts';
import { decodeBody } from '../edge/decode-body.ts';
import { RECORD_DEVICE_SEEN, type RecordDeviceSeen } from '../presence/record-device-seen.ts';
import { AcceptPush } from './accept-push.ts';
import { parseTimestampMs } from './prepare/prepare-mutation.ts';
import { type Meanwhile, PushGate } from './push-gate.ts';

export const PUSH_LOGGER = Symbol('Logger');

const checkEnvelope = validator(PushEnvelope);

/** `POST /sync/v1/push` */
@Controller('sync/v1/push')
export class PushController {
  private readonly acceptPush: AcceptPush;
  private readonly gate: PushGate;
  private readonly acceptAck: AcceptAck;
  private readonly deviceSeen: RecordDeviceSeen;
  private readonly logger: Logger;

  constructor(
    @Inject(AcceptPush) acceptPush: AcceptPush,
    @Inject(PushGate) gate: PushGate,
    @Inject(AcceptAck) acceptAck: AcceptAck,
    @Inject(RECORD_DEVICE_SEEN) deviceSeen: RecordDeviceSeen,
    @Inject(PUSH_LOGGER) logger: Logger,
  ) {
    this.acceptPush = acceptPush;
    this.gate = gate;
    this.acceptAck = acceptAck;
    this.deviceSeen = deviceSeen;
    this.logger = logger;
  }

  @Post()
  async push(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const caller = callerOf(request);
    const envelope = decodeBody(request, checkEnvelope);
    const { ack } = envelope;
    const carryOutAck = ack && this.acceptAck.prepare(request, ack, '/ack');
    const sentAtMs = parseTimestampMs(envelope.sentAt);
    this.deviceSeen.record(caller, {
      ...(sentAtMs === null ? {} : { clockOffsetMs: sentAtMs - caller.receivedAtMs }),
      backlog: envelope.backlog ?? ack?.backlog,
    });
    request.work?.count({ mutation: envelope.mutations.length });
    const { acked, outcomes } = await this.gate.run(caller, meanwhile(request, reply), async () => ({
      acked: await carryOutAck?.(),
      outcomes: await this.acceptPush.execute(caller, envelope, caller.receivedAtMs, request.bodySuspicious),
    }));
    this.logPush(request, envelope.mutations);
    const serverTime = new Date().toISOString();
    const told = acked ? `,"ack":${JSON.stringify(acked)}` : '';
    await answerText(reply, `{"serverTime":"${serverTime}","outcomes":[${outcomes.join(',')}]${told}}`);
  }

  /**
   * At debug level: a push is the most frequent thing that happens here. Its outcomes are in the ledger and
   * in the sync events.
   */
  private logPush(request: FastifyRequest, mutations: readonly { readonly mutationId: string }[]): void {
    if (!this.logger.isLevelEnabled('debug')) return;
    const { tenantId, userId, deviceId } = callerOf(request);
    const mutationIds = mutations.slice(0, 20).map(({ mutationId }) => mutationId);
    const fields = {
      requestId: request.id,
      tenantId,
      userId,
      deviceId,
      count: mutations.length,
      mutationIds,
    };
    this.logger.debug(fields, 'push');
  }
}

/** While it waits for the push before it, a request needs no place. */
function meanwhile({ work }: FastifyRequest, { raw }: FastifyReply): Meanwhile {
  return (wait) => (work ? work.away(raw, wait) : wait());
}
