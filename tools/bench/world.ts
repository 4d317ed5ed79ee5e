import { randomUUID } from 'node:crypto';
import {
  type DeviceCredentials,
  type PlatformUrls,
  bindDevice,
  signRequest,
  tagMutation,
} from '@sync/e2e-device';
import { freePort } from '@sync/postgres/testing';
import { SERVICES } from '../stack/services.ts';
import { type Stack, startStack } from '../stack/start-stack.ts';
import { CostMeter, FLOOR } from './cost-meter.ts';
import { untilSnapshotsAreRead } from './deliveries.ts';
import { KeepAliveClient, type RawAnswer, type RawRequest } from './keep-alive-client.ts';
import { OBSERVER, Observer } from './observer.ts';
import type { CpuSources } from './process-cpu.ts';
import { type Floor, startFloor } from './start-floor.ts';
import { PROFILE_SETTINGS, StatementProfile } from './statement-profile.ts';

export const TENANT = 'bench';

/** The platform under test, the floor beside it, and the sizes of this run. */
export interface World {
  readonly stack: Stack;
  readonly urls: PlatformUrls;
  readonly floorUrl: string;
  /** A bare route of the framework that the gateway runs on. */
  readonly frameworkUrl: string;
  readonly floorPid: number;
  readonly observer: Observer;
  /** `underLoad` is the platform while it has other work, too: it waits for nothing. */
  readonly meters: Readonly<Record<'platform' | 'underLoad' | 'floor', CostMeter>>;
  /** Where the inspector of a process listens once it gets SIGUSR1. */
  readonly inspectorPorts: { readonly gateway: number; readonly floor: number };
  readonly sizes: Sizes;
  readonly out: (line: string) => void;
}

/** How much is measured; `--quick` keeps the whole run under two minutes. */
export interface Sizes {
  readonly pushes: number;
  /** Pushes of one mutation are cheap: more of them, or chance and the kernel's clock blur what one costs. */
  readonly pushesOfOne: number;
  readonly idleMs: number;
  readonly smallEventsMs: number;
  readonly conflictPushes: number;
  readonly pulls: number;
  readonly acks: number;
  readonly emptyPulls: number;
  readonly decisions: number;
  readonly visibleWrites: number;
  readonly projectionEvents: number;
  readonly learners: number;
  readonly rounds: number;
  readonly firstSyncEntities: number;
  /** Mutations that a device has written offline, in whole pushes of 500. */
  readonly queued: number;
  /** Pushes of a hundred edits by each of two devices. */
  readonly backupRounds: number;
  /** A push, a pull and an ack each. */
  readonly hostileRounds: number;
  readonly sockets: readonly number[];
}

export const FULL_SIZES: Sizes = {
  pushes: 300,
  pushesOfOne: 600,
  idleMs: 20_000,
  smallEventsMs: 10_000,
  conflictPushes: 100,
  pulls: 600,
  acks: 1_500,
  emptyPulls: 3_000,
  decisions: 200,
  visibleWrites: 300,
  projectionEvents: 40_000,
  learners: 40,
  rounds: 5,
  firstSyncEntities: 50_000,
  queued: 10_000,
  backupRounds: 100,
  hostileRounds: 200,
  sockets: [1_000, 10_000],
};

/**
 * Same names, smaller samples: only the socket count and the amounts differ, the work per operation does not.
 */
export const QUICK_SIZES: Sizes = {
  pushes: 60,
  pushesOfOne: 150,
  idleMs: 5_000,
  smallEventsMs: 4_000,
  conflictPushes: 30,
  pulls: 150,
  acks: 300,
  emptyPulls: 500,
  decisions: 40,
  visibleWrites: 60,
  projectionEvents: 10_000,
  learners: 12,
  rounds: 4,
  firstSyncEntities: 50_000,
  queued: 2_000,
  backupRounds: 10,
  hostileRounds: 60,
  sockets: [1_000],
};

/**
 * Starts the platform, durable and quiet, and the floor server on a database of the same Postgres.
 * @param profiled Postgres counts what each statement costs
 */
export async function startWorld(
  sizes: Sizes,
  profiled: boolean,
  out: (line: string) => void,
): Promise<World & { stop(): Promise<void> }> {
  const inspectorPorts = { gateway: await freePort(), floor: await freePort() };
  const stack = await startStack({
    logLevel: 'warn',
    progress: (message) => out(`  ${message}`),
    env: inspectable(inspectorPorts.gateway),
    postgresSettings: profiled ? PROFILE_SETTINGS : {},
  });
  try {
    const floor = await startFloor(
      stack.urls['postgres'] ?? '',
      natsUrl(stack),
      inspectable(inspectorPorts.floor),
    );
    const observer = await Observer.open(stack.urls['postgres'] ?? '', Object.keys(stack.databases));
    await untilSnapshotsAreRead(observer);
    const profile = profiled ? await StatementProfile.open(observer) : null;
    const costs = { observer, profile, cpu: () => cpuSourcesOf(stack, floor) };
    return {
      stack,
      urls: platformUrls(stack),
      observer,
      meters: {
        platform: new CostMeter(costs, 'platform'),
        underLoad: new CostMeter(costs, 'underLoad'),
        floor: new CostMeter(costs, 'floor'),
      },
      floorUrl: floor.url,
      frameworkUrl: floor.frameworkUrl,
      floorPid: floor.process.pid ?? 0,
      inspectorPorts,
      sizes,
      out,
      stop: async () => {
        floor.process.kill('SIGTERM');
        await observer.close();
        await stack.stop();
      },
    };
  } catch (error) {
    await stack.stop();
    throw error;
  }
}

/**
 * The inspector stays shut until the process is signalled; only one of those with this environment ever is.
 */
function inspectable(port: number): Record<string, string> {
  return { NODE_OPTIONS: `${process.env['NODE_OPTIONS'] ?? ''} --inspect-port=127.0.0.1:${port}`.trim() };
}

/** All processes of the platform and its floor; null where some are not ours to read. */
function cpuSourcesOf({ pids }: Stack, floor: Floor): CpuSources | null {
  const { postgres: postmaster, ...processes } = pids;
  if (postmaster === undefined || pids['nats'] === undefined || process.platform !== 'linux') return null;
  return {
    processes: { ...processes, [FLOOR]: floor.process.pid ?? 0 },
    postmaster,
    databases: {
      ...Object.fromEntries(SERVICES.map(({ name, database }) => [database, name])),
      [floor.database]: FLOOR,
    },
    observer: OBSERVER,
  };
}

/** Where the platform's NATS is. */
export function natsUrl({ urls }: Stack): string {
  return urls['nats'] ?? '';
}

function platformUrls({ urls }: Stack): PlatformUrls {
  const url = (name: string): string => {
    const found = urls[name];
    if (!found) throw new Error(`the stack has no ${name}`);
    return found;
  };
  return {
    gateway: url('gateway'),
    identity: url('identity'),
    learning: url('learning'),
    authoring: url('authoring'),
  };
}

/**
 * A bound device with a connection of its own, and nothing of the driver's bookkeeping in the measured path.
 */
export class BenchDevice {
  readonly userId: string;
  readonly credentials: DeviceCredentials;
  readonly http = new KeepAliveClient();
  private readonly gatewayUrl: string;
  private sequence = 0;

  constructor(gatewayUrl: string, userId: string, credentials: DeviceCredentials) {
    this.gatewayUrl = gatewayUrl;
    this.userId = userId;
    this.credentials = credentials;
  }

  get scope(): string {
    return `user:${this.userId}`;
  }

  nextSequence(): number {
    this.sequence += 1;
    return this.sequence;
  }

  /** As its app does when it makes one. */
  tag<T extends object>(mutation: T): T {
    return tagMutation(this.credentials, mutation);
  }

  /** Signs now, so that the signature costs the measured operation nothing on the client's side. */
  prepare(path: string, body: unknown): RawRequest {
    const url = new URL(path, this.gatewayUrl);
    const bytes = Buffer.from(JSON.stringify(body));
    const signed = signRequest(this.credentials, 'POST', url, bytes, Math.floor(Date.now() / 1000));
    return { url: url.href, method: 'POST', headers: signed.headers, body: bytes };
  }

  /** @throws when the answer is not 200 */
  async send(request: RawRequest): Promise<RawAnswer> {
    const answer = await this.http.send(request);
    if (answer.status !== 200)
      throw new Error(`${request.url} answered ${answer.status}: ${answer.body.toString().slice(0, 500)}`);
    return answer;
  }

  async call<T>(path: string, body: unknown): Promise<T> {
    return JSON.parse((await this.send(this.prepare(path, body))).body.toString()) as T;
  }
}

/** Binds `count` devices, each of a user of its own unless `userId` is given. */
export async function bindBenchDevices(world: World, count: number, userId?: string): Promise<BenchDevice[]> {
  const devices: BenchDevice[] = [];
  for (let index = 0; index < count; index += 1) {
    const owner = userId ?? `user-${randomUUID().slice(0, 12)}`;
    devices.push(new BenchDevice(world.urls.gateway, owner, await bindDevice(world.urls, TENANT, owner)));
  }
  return devices;
}

/** A request to the floor server. */
export function floorRequest(world: World, path: string, body?: string): RawRequest {
  return {
    url: `${world.floorUrl}${path}`,
    method: 'POST',
    headers: {},
    body: body === undefined ? null : Buffer.from(body),
  };
}
