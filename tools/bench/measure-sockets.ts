/**
 * idle-sockets: memory of a fresh gateway per live socket, beside a bare `ws` server in a process of its own.
 */
import { WebSocket } from 'ws';
import type { TicketResponse } from '@sync/protocol';
import type { Samples } from './percentiles.ts';
import { type SettledMemory, settledMemory } from './process-memory.ts';
import { type OperationResult, result } from './result.ts';
import { type Load, runLoad, warmUpRuns } from './run-load.ts';
import { type BenchDevice, type World, bindBenchDevices } from './world.ts';

const CLIENTS = 8;
const SETTLE_MS = 4_000;
/** Opened and closed before the baseline: code, pools and the inspector are there then. */
const WARM_UP_SOCKETS = 200;

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
  // One that has served other load has grown, and what is free in it would hide what sockets need.
  await world.stack.restart('gateway');
  const sockets = warmUpRuns({ clients: CLIENTS, total: count }) + count + WARM_UP_SOCKETS;
  // One socket each, as it is outside: what the gateway remembers of a connected device and its user is part
  // of the figure.
  const devices = await bindBenchDevices(world, sockets);
  const ticketOf = async (run: number): Promise<string> => {
    const device: BenchDevice | undefined = devices[run];
    if (!device) throw new RangeError(`no device for socket ${run}`);
    const { ticket } = await device.call<TicketResponse>('/sync/v1/tickets', {});
    device.http.close();
    return ticket;
  };
  const gateway = { pid: world.stack.pids['gateway'] ?? 0, inspectorPort: world.inspectorPorts.gateway };
  const own = await openMany(
    { clients: CLIENTS, total: count, meter: world.meters.platform },
    gateway,
    async (run) => {
      const url = new URL('/sync/v1/live', world.urls.gateway);
      url.protocol = 'ws:';
      url.searchParams.set('ticket', await ticketOf(run));
      return open(url.href);
    },
  );
  const bare = { pid: world.floorPid, inspectorPort: world.inspectorPorts.floor };
  const floor = await openMany({ clients: CLIENTS, total: count, meter: world.meters.floor }, bare, () =>
    open(`${world.floorUrl.replace('http', 'ws')}/live`),
  );
  return result(`idle-sockets-${count}`, count, own.samples, floor.samples, {
    kibPerSocket: own.liveKib,
    floorKibPerSocket: floor.liveKib,
    residentKibPerSocket: own.residentKib,
    floorResidentKibPerSocket: floor.residentKib,
  });
}

/** @returns latencies of opening, and per socket what came to stay */
async function openMany(
  load: Load,
  server: { readonly pid: number; readonly inspectorPort: number },
  openOne: (run: number) => Promise<WebSocket>,
): Promise<SettledMemory & { readonly samples: Samples }> {
  const memory = (): Promise<SettledMemory> => settledMemory(server.pid, server.inspectorPort, SETTLE_MS);
  const warmUp: WebSocket[] = [];
  for (let run = 0; run < WARM_UP_SOCKETS; run += 1) warmUp.push(await openOne(run));
  await memory();
  await closeAll(warmUp);
  const sockets: WebSocket[] = [];
  const before = await memory();
  const samples = await runLoad(load, async (_lane, run) => {
    sockets.push(await openOne(WARM_UP_SOCKETS + run));
  });
  const after = await memory();
  await closeAll(sockets);
  return {
    samples,
    liveKib: (after.liveKib - before.liveKib) / sockets.length,
    residentKib: (after.residentKib - before.residentKib) / sockets.length,
  };
}
