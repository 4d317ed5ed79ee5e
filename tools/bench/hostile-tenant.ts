/**
 * A tenant at full blast, in a process of its own: devices that pull, resync, push, ack and open sockets
 * without end, with the dearest bodies and fields that pass, and an administrator who asks for everything.
 * Prints `ready` as its first line, and on the end of its stdin how often it was answered what.
 */
import { createHash, randomUUID } from 'node:crypto';
import { brotliCompressSync } from 'node:zlib';
import { adminToken, bindDevice, type PlatformUrls, signRequest } from '@sync/e2e-device';
import { WebSocket } from 'ws';
import { KeepAliveClient, type RawRequest } from './keep-alive-client.ts';
import { pushBody } from './workload.ts';
import { BenchDevice } from './world.ts';

const TENANT = 'hostile';
const DEVICES = 16;
const LANES_PER_DEVICE = 4;

const urls = JSON.parse(process.env['HOSTILE_URLS'] ?? '{}') as PlatformUrls;
const answered = new Map<string, number>();
let ended = false;

/** Empty objects in a field that is ignored, compressed to a few bytes: the most that the ratio lets through. */
const BOMB = brotliCompressSync(
  Buffer.from(JSON.stringify({ padding: Array.from({ length: 9_000 }, () => ({})) })),
);

function bombOf(device: BenchDevice): RawRequest {
  const url = new URL('/sync/v1/pull', urls.gateway);
  const { headers } = signRequest(device.credentials, 'POST', url, BOMB, Math.floor(Date.now() / 1_000));
  return { url: url.href, method: 'POST', headers: { ...headers, 'content-encoding': 'br' }, body: BOMB };
}

/** Fields as long as Node takes them. */
function withLongFields(request: RawRequest): RawRequest {
  return { ...request, headers: { ...request.headers, 'x-padding': 'a, '.repeat(4_000) } };
}

/** Edits of one note that all its devices believe to be the first. */
function conflictBody(device: BenchDevice, noteId: string): object {
  const now = new Date().toISOString();
  const mutations = Array.from({ length: 20 }, (_each, at) => ({
    ...{ mutationId: randomUUID(), sequence: device.nextSequence(), scope: device.scope },
    ...{ entityType: 'note', entityId: noteId, op: 'put', baseClock: {}, occurredAt: now },
    data: { userId: device.userId, text: `take ${at}` },
  }));
  return { sentAt: now, mutations };
}

const ATTACKS: readonly ((device: BenchDevice, noteId: string) => RawRequest)[] = [
  (device) => device.prepare('/sync/v1/pull', { limit: 1_000 }),
  (device) => device.prepare('/sync/v1/push', pushBody(device, 100)),
  (device) => device.prepare('/sync/v1/ack', { outcomes: Array.from({ length: 1_000 }, () => randomUUID()) }),
  bombOf,
  (device) => withLongFields(device.prepare('/sync/v1/pull', {})),
  (device, noteId) => device.prepare('/sync/v1/push', conflictBody(device, noteId)),
];

function count(what: string): void {
  answered.set(what, (answered.get(what) ?? 0) + 1);
}

async function attack(device: BenchDevice, noteId: string, lane: number): Promise<void> {
  const http = new KeepAliveClient();
  for (let round = lane; !ended; round += 1) {
    const make = ATTACKS[round % ATTACKS.length];
    try {
      if (make) count(String((await http.send(make(device, noteId))).status));
    } catch {
      count('closed');
    }
  }
  http.close();
}

/** Opens sockets again and again, and leaves them open. */
async function openSockets(device: BenchDevice): Promise<void> {
  while (!ended) {
    const answer = await device.http.send(device.prepare('/sync/v1/tickets', {}));
    count(String(answer.status));
    if (answer.status !== 200) {
      await new Promise((resolve) => setTimeout(resolve, 200));
      continue;
    }
    const { ticket } = JSON.parse(answer.body.toString()) as { ticket: string };
    const url = new URL(`/sync/v1/live?ticket=${ticket}`, urls.gateway);
    url.protocol = 'ws:';
    const socket = new WebSocket(url, { perMessageDeflate: false });
    await new Promise((resolve) => socket.once('open', resolve).once('error', resolve));
    socket.on('error', () => count('closed'));
  }
}

async function askAll(token: string): Promise<void> {
  const http = new KeepAliveClient();
  const paths = ['devices?limit=500', 'conflicts?limit=500', 'dead-letters', 'purges/missing', 'scopes/u'];
  for (let round = 0; !ended; round += 1) {
    const path = paths[round % paths.length] ?? '';
    const headers = { authorization: `Bearer ${token}` };
    const request = {
      url: new URL(`/admin/v1/${path}`, urls.gateway).href,
      method: 'GET',
      headers,
      body: null,
    };
    count(String((await http.send(request)).status));
  }
}

const userIds = Array.from({ length: DEVICES / 2 }, (_each, at) => `u-${at}`);
const devices = await Promise.all(
  Array.from({ length: DEVICES }, async (_each, at) => {
    const userId = userIds[at % userIds.length] ?? '';
    return new BenchDevice(urls.gateway, userId, await bindDevice(urls, TENANT, userId));
  }),
);
const token = await adminToken(urls, TENANT);
process.stdin.resume().on('end', () => {
  process.stdout.write(`${JSON.stringify(Object.fromEntries(answered))}\n`, () => process.exit());
  ended = true;
});
for (const device of devices) {
  const noteId = createHash('sha256').update(device.userId).digest('hex').slice(0, 32);
  for (let lane = 0; lane < LANES_PER_DEVICE; lane += 1) void attack(device, noteId, lane);
  void openSockets(device);
}
for (let lane = 0; lane < 8; lane += 1) void askAll(token);
process.stdout.write('ready\n');
