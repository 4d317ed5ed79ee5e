/** idle-sockets: resident memory of the gateway per live socket, beside a bare `ws` server in a process of its own. */
import { WebSocket } from 'ws';
import type { TicketResponse } from '@sync/protocol';
import { settledKib } from './process-memory.ts';
import { type OperationResult, result } from './result.ts';
import { runLoad } from './run-load.ts';
import { type BenchDevice, type World, bindBenchDevices } from './world.ts';

/** The gateway allows four live sockets per device. */
const SOCKETS_PER_DEVICE = 4;
const SETTLE_MS = 4_000;

function open(url: string): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { perMessageDeflate: false });
    socket.once('open', () => resolve(socket));
    socket.once('error', reject);
    socket.once('close', (code) => reject(new Error(`the socket was closed with ${code}`)));
  });
}

async function closeAll(sockets: readonly WebSocket[]): Promise<void> {
  for (const socket of sockets) {
    socket.removeAllListeners();
    socket.on('error', () => undefined);
    socket.terminate();
  }
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
}

export async function measureSockets(world: World, count: number): Promise<OperationResult> {
  const gatewayPid = world.stack.pids['gateway'] ?? 0;
  const devices = await bindBenchDevices(world, Math.ceil((count * 1.1) / SOCKETS_PER_DEVICE) + 1);
  const ticketOf = async (run: number): Promise<string> => {
    const device: BenchDevice | undefined = devices[Math.floor(run / SOCKETS_PER_DEVICE)];
    if (!device) throw new RangeError(`no device for socket ${run}`);
    return (await device.call<TicketResponse>('/sync/v1/tickets', {})).ticket;
  };
  // The first requests of a device fill caches that stay; they are not the sockets' memory.
  for (const device of devices) await device.call('/sync/v1/pull', { limit: 1 });
  for (const device of devices) device.http.close();
  const own = await openMany(count, gatewayPid, async (run) => {
    const url = new URL('/sync/v1/live', world.urls.gateway);
    url.protocol = 'ws:';
    url.searchParams.set('ticket', await ticketOf(run));
    return open(url.href);
  });
  const floor = await openMany(count, world.floorPid, () =>
    open(`${world.floorUrl.replace('http', 'ws')}/live`),
  );
  return result(`idle-sockets-${count}`, count, own.samples, floor.samples, {
    kibPerSocket: own.kibPerSocket,
    floorKibPerSocket: floor.kibPerSocket,
  });
}

async function openMany(
  count: number,
  pid: number,
  openOne: (run: number) => Promise<WebSocket>,
): Promise<{ samples: Awaited<ReturnType<typeof runLoad>>; kibPerSocket: number }> {
  const sockets: WebSocket[] = [];
  const beforeKib = await settledKib(pid, SETTLE_MS);
  const samples = await runLoad(8, Math.floor(count / 1.1), async (_lane, run) => {
    sockets.push(await openOne(run));
  });
  const afterKib = await settledKib(pid, SETTLE_MS);
  const kibPerSocket = (afterKib - beforeKib) / sockets.length;
  await closeAll(sockets);
  return { samples, kibPerSocket };
}
