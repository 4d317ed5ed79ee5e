import { afterAll, beforeAll, expect, it } from '@jest/globals';
import {
  createHttpTransport,
  type GetToken,
  type HttpTransport,
  type LiveLine,
  type LiveState,
  systemClock,
} from '@sync/client';
import { importDeviceKey, webCryptoKey } from '@sync/client/webcrypto-key';
import { WebSocket } from 'ws';
import { GatewayRig } from '../testing/gateway-rig.ts';
import type { TestDevice } from '../testing/test-identity.ts';
import { until } from '../testing/until.ts';

const PULL = { method: 'POST', path: '/sync/v1/pull', body: {}, timeoutMs: 30_000 } as const;
const YEARS_MS = 5 * 365 * 86_400_000;

let rig: GatewayRig;
beforeAll(async () => {
  rig = await GatewayRig.start();
});
afterAll(() => rig.stop());

/** The network half of `@sync/client`, against a whole gateway. */
async function transportOf(
  device: TestDevice,
  options: { token?: GetToken; behindMs?: number; url?: string } = {},
): Promise<HttpTransport> {
  const { token = async () => device.accessToken, behindMs = 0, url = rig.url } = options;
  return createHttpTransport({
    ...{ gatewayUrl: url, identity: device, token },
    key: await webCryptoKey(await importDeviceKey(Buffer.from(device.hmacKey, 'base64')), device),
    clock: { ...systemClock, now: () => Date.now() - behindMs },
    openSocket: (address) => new WebSocket(address),
  });
}

function liveOf(transport: HttpTransport, states: LiveState[]): LiveLine {
  const line = transport.listen?.({
    onNotice: () => undefined,
    onState: (state) => states.push(state),
  });
  if (!line) throw new Error('This transport has no socket');
  return line;
}

const reached = (states: readonly LiveState[], kind: LiveState['kind']): Promise<LiveState> =>
  until(() => states.find((state) => state.kind === kind));

it('signs what the gateway takes: with a body, compressed, without one, and with a query', async () => {
  const device = await rig.device();
  const net = await transportOf(device);
  const scopes = [{ scope: `user:${device.userId}`, hasMore: false }];
  expect(await net.send(PULL)).toMatchObject({ ok: true, body: { scopes } });
  expect(await net.send({ ...PULL, body: { unknown: 'word '.repeat(2_000) } })).toMatchObject({ ok: true });
  const list = { method: 'GET', path: '/sync/v1/conflicts?status=open&limit=5', timeoutMs: 30_000 } as const;
  // It is let in; who keeps conflicts is not there.
  expect(await net.send(list)).toMatchObject({ kind: 'busy', problem: { code: 'unavailable' } });
});

it('corrects a clock that is wrong by years', async () => {
  const net = await transportOf(await rig.device(), { behindMs: YEARS_MS });
  expect(await net.send(PULL)).toMatchObject({ ok: true });
  expect(Math.abs((net.offsetMs ?? 0) - YEARS_MS)).toBeLessThan(60_000);
});

it('asks for another token when the gateway refuses one', async () => {
  const device = await rig.device();
  const reasons: string[] = [];
  const token: GetToken = async (reason) => {
    reasons.push(reason);
    return reason === 'refused' ? device.accessToken : 'expired';
  };
  expect(await (await transportOf(device, { token })).send(PULL)).toMatchObject({ ok: true });
  expect(reasons).toEqual(['needed', 'refused']);
});

it('says what the gateway refuses', async () => {
  const device = await rig.device();
  const net = await transportOf(device);
  const cursors = { scopes: [{ scope: `user:${device.userId}`, cursor: 'forged' }] };
  const kinds = await Promise.all([
    net.send({ ...PULL, body: cursors }),
    net.send({ ...PULL, body: { limit: 1_001 } }),
    net.send({ ...PULL, path: '/sync/v1/nothing' }),
    (await transportOf({ ...device, hmacKey: Buffer.alloc(32).toString('base64') })).send(PULL),
    (await transportOf({ ...device, deviceId: 'd-unknown' })).send(PULL),
  ]);
  expect(kinds.map((answer) => !answer.ok && answer.kind)).toEqual([
    'cursor_invalid',
    'too_large',
    'refused',
    'refused',
    'not_bound',
  ]);
});

it('hears at once that the device was revoked', async () => {
  const device = await rig.device();
  const net = await transportOf(device);
  const states: LiveState[] = [];
  liveOf(net, states);
  await reached(states, 'open');
  await rig.identity.revoke(device);
  expect(await reached(states, 'ended')).toEqual({ kind: 'ended', why: 'revoked' });
  expect(await net.send(PULL)).toMatchObject({ ok: false, kind: 'revoked' });
});

it('is told by a replica that stops when to come back', async () => {
  const other = await rig.addGateway();
  const net = await transportOf(await rig.device(), { url: other.url });
  const states: LiveState[] = [];
  const live = liveOf(net, states);
  await reached(states, 'open');
  await other.stop();
  rig.gateways.splice(rig.gateways.indexOf(other), 1);
  expect(await reached(states, 'waiting')).toMatchObject({ code: 1012, failure: null });
  live.close();
});
