/** Two gateways behind the balancer of `infra/`. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { GatewayRig } from '../testing/gateway-rig.ts';
import { type RunningBalancer, startHaproxy } from '../testing/start-haproxy.ts';
import type { TestDevice } from '../testing/test-identity.ts';
import { until } from '../testing/until.ts';

/** Longer than two checks of the balancer, also on a slow machine. */
const DRAIN = { DRAIN_READINESS_MS: '10000' };

let rig: GatewayRig;
let balancer: RunningBalancer;
beforeAll(async () => {
  rig = await GatewayRig.start(DRAIN);
  await rig.addGateway(DRAIN);
  balancer = await startHaproxy(rig.gateways);
  const device = await rig.device();
  await until(async () => {
    const status = await statusOf(device).catch(() => null);
    return status === 200 ? true : null;
  });
  await until(async () => ((await socketsOf()).every((count) => count === 0) ? true : null));
});
afterAll(async () => {
  await balancer.stop();
  await rig.stop();
});

async function statusOf(device: TestDevice): Promise<number> {
  return (await rig.call(device, 'pull', {}, { url: balancer.url })).status;
}

/** Open live sockets, by replica. */
function socketsOf(): Promise<number[]> {
  return Promise.all(
    rig.gateways.map(async ({ opsUrl }) => {
      const metrics = await (await fetch(`${opsUrl}/metrics`)).text();
      return Number(/^sync_live_sockets(?:\{[^}]*\})? (\d+)/m.exec(metrics)?.[1]);
    }),
  );
}

/** A live socket, with the code that it is closed with. */
async function openSocket(): Promise<{ readonly socket: WebSocket; code: number | null }> {
  const { body } = await rig.call(await rig.device(), 'tickets', {}, { url: balancer.url });
  const url = `${balancer.url.replace('http', 'ws')}/sync/v1/live?ticket=${String(body['ticket'])}`;
  const socket = new WebSocket(url);
  const opened = { socket, code: null as number | null };
  socket.on('close', (code) => (opened.code = code));
  await once(socket, 'message');
  return opened;
}

it('share the sockets, and one of them stops while no request fails', async () => {
  const sockets = await Promise.all(Array.from({ length: 8 }, openSocket));
  const shares = await socketsOf();
  expect(shares.reduce((sum, count) => sum + count, 0)).toBe(8);
  expect(Math.min(...shares)).toBeGreaterThan(0);

  const statuses = new Map<number, number>();
  let isOver = false;
  const asking = Array.from({ length: 4 }, async () => {
    const device = await rig.device();
    while (!isOver) {
      const status = await statusOf(device);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      await sleep(20);
    }
  });
  await until(() => (statuses.size > 0 ? true : null));
  await rig.gateways.pop()?.stop();
  const closed = sockets.filter(({ code }) => code !== null);
  expect(closed.map(({ code }) => code)).toEqual(Array(shares[1]).fill(1012));
  const again = await openSocket();
  expect(await socketsOf()).toEqual([(shares[0] ?? 0) + 1]);
  isOver = true;
  await Promise.all(asking);
  expect([...statuses.keys()]).toEqual([200]);
  for (const { socket } of [...sockets, again]) socket.terminate();
});
