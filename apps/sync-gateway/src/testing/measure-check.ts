/**
 * `node --conditions=source measure-check.ts`, started by `npm run bench`: what it costs to prove a push of 20
 * mutations, beside bare SHA-256 and HMAC over the same bytes. Prints one line of JSON, {@link CheckCost}.
 */
import { createHmac, createSecretKey, hash, randomBytes, randomUUID } from 'node:crypto';
import { connectNats } from '@sync/messaging';
import { startNats } from '@sync/messaging/testing';
import { taggedText } from '@sync/protocol';
import { TokenVerifier } from '@sync/service-kit';
import type { FastifyRequest } from 'fastify';
import { AuthenticateDevice } from '../access/authenticate-device.ts';
import { DeviceBindings } from '../access/device-bindings.ts';
import { prepareMutation } from '../push/prepare/prepare-mutation.ts';
import { VerifyTags } from '../push/prepare/verify-tags.ts';
import { signedHeaders } from './signed-call.ts';
import { tagMutation } from './tag-mutation.ts';
import { type TestDevice, TestIdentity } from './test-identity.ts';

/** Milliseconds of a request, one figure for each. CPU is what this process used, of one request. */
export interface CheckCost {
  readonly checkMs: readonly number[];
  readonly floorMs: readonly number[];
  readonly cpuMs: number;
  readonly floorCpuMs: number;
  /** Of reading 20 mutations, with and without tags: what tags add to that is not part of the check. */
  readonly readMs: number;
  readonly readUntaggedMs: number;
}

const MUTATIONS = 20;
const WARM_UP = 2_000;
const COUNTED = 5_000;

/** A statement of ordinary size. */
function statement(
  device: TestDevice,
  sequence: number,
): Record<string, unknown> & { readonly mutationId: string } {
  const id = randomUUID();
  return {
    ...{ mutationId: randomUUID(), sequence, scope: `user:${device.userId}`, entityType: 'statement' },
    ...{ entityId: id, op: 'append', baseClock: {}, occurredAt: new Date().toISOString(), schemaVersion: 1 },
    data: {
      ...{ id, timestamp: new Date().toISOString() },
      verb: { id: 'http://adlnet.gov/expapi/verbs/experienced', display: { 'en-US': 'experienced' } },
      object: {
        objectType: 'Activity',
        id: `https://courses.example/navigation/lesson-${sequence}/page-3`,
        definition: {
          name: { 'en-US': `Lesson ${sequence}, page 3` },
          description: { 'en-US': 'How a bearing is taken, plotted and corrected for variation.' },
          type: 'http://adlnet.gov/expapi/activities/lesson',
        },
      },
      result: { duration: 'PT35S', completion: true, score: { scaled: 0.25 } },
    },
  };
}

async function measured(once: () => Promise<void> | void): Promise<{ ms: number[]; cpuMs: number }> {
  for (let run = 0; run < WARM_UP; run += 1) await once();
  const ms: number[] = [];
  const before = process.cpuUsage();
  for (let run = 0; run < COUNTED; run += 1) {
    const startedMs = performance.now();
    await once();
    ms.push(performance.now() - startedMs);
  }
  const { user, system } = process.cpuUsage(before);
  return { ms, cpuMs: (user + system) / 1000 / COUNTED };
}

const meanOf = (values: readonly number[]): number =>
  values.reduce((sum, one) => sum + one, 0) / values.length;

const server = await startNats({ own: true });
const nats = await connectNats({ url: server.url, name: 'measure-check' });
const identity = await TestIdentity.start(nats);
const device = await identity.bind('t1', 'u1', 'd1');
const bindings = new DeviceBindings({ nats, database: { call: async () => [] }, graceMs: 0 });
const tokens = new TokenVerifier({
  ...{ jwksUrl: `${identity.url}/.well-known/jwks.json`, issuer: 'https://identity.sync.local' },
  audience: 'sync-service',
});
const devices = new AuthenticateDevice(tokens, bindings);
const tags = new VerifyTags(bindings);

const plain = Array.from({ length: MUTATIONS }, (_, place) => statement(device, place + 1));
const tagged = plain.map((mutation) => tagMutation(device, mutation));
const body = Buffer.from(JSON.stringify({ sentAt: new Date().toISOString(), mutations: tagged }));
const url = new URL('http://gateway/sync/v1/push');
const headers = { ...signedHeaders(device, 'POST', url, body), 'content-length': String(body.length) };
const request = { method: 'POST', raw: { url: url.pathname }, headers } as unknown as FastifyRequest;
const moment = { ...device, sentAtMs: Date.now(), serverNowMs: Date.now() };
const payloads = tagged.map((mutation) => prepareMutation({ ...mutation }, moment, false).payload);

const check = await measured(async () => {
  const caller = await devices.withBody(await devices.authenticate(request), body);
  const verdicts = await tags.verify(caller, payloads);
  if (!verdicts.every((verdict) => verdict === 'valid')) throw new Error(`tags were ${verdicts.join()}`);
});
const key = createSecretKey(randomBytes(32));
const texts = tagged.map((mutation) => taggedText({ ...mutation }));
const signed = JSON.stringify(headers);
const floor = await measured(() => {
  hash('sha256', body, 'base64');
  createHmac('sha256', key).update(signed).digest('base64');
  for (const text of texts) createHmac('sha256', key).update(text).digest('base64');
});
const reading = await measured(() => {
  for (const mutation of tagged) prepareMutation(mutation, moment, false);
});
const readingUntagged = await measured(() => {
  for (const mutation of plain) prepareMutation(mutation, moment, false);
});
const cost: CheckCost = {
  ...{ checkMs: check.ms, floorMs: floor.ms, cpuMs: check.cpuMs, floorCpuMs: floor.cpuMs },
  ...{ readMs: meanOf(reading.ms), readUntaggedMs: meanOf(readingUntagged.ms) },
};
process.stdout.write(`${JSON.stringify(cost)}\n`);
await identity.stop();
await nats.close();
await server.stop();
