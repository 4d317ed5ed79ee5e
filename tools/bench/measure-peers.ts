/** `--peers`: the same pushes into other sync servers, beside the platform's. */
import { randomUUID } from 'node:crypto';
import type { CostMeter } from './cost-meter.ts';
import { KeepAliveClient, type RawRequest } from './keep-alive-client.ts';
import { installPeers, type Peer, startPeer } from './peers/start-peer.ts';
import { processTimes } from './proc-files.ts';
import { laneOf, perLaneOf, runFloor } from './request-load.ts';
import { type OperationResult, result } from './result.ts';
import { type Load, runLoad } from './run-load.ts';
import { statementData } from './workload.ts';
import { type World, floorRequest } from './world.ts';

/** How a peer is made to store new entities. */
interface Kind {
  readonly name: string;
  readonly script: Parameters<typeof startPeer>[0];
  readonly prepare: (peer: Peer) => Promise<void>;
  readonly push: (peer: Peer, entities: readonly Entity[]) => RawRequest;
  /** @throws unless all was stored */
  readonly assertStored: (answer: string) => void;
}

interface Entity {
  readonly id: string;
  readonly data: Readonly<Record<string, unknown>>;
}

const KINDS: readonly Kind[] = [
  {
    name: 'pouchdb-server',
    script: 'pouchdb-server.mjs',
    prepare: async ({ url }) => {
      const response = await fetch(`${url}/statement`, { method: 'PUT' });
      if (!response.ok) throw new Error(`PouchDB Server answered ${response.status}`);
    },
    push: ({ url }, entities) =>
      post(`${url}/statement/_bulk_docs`, {
        new_edits: false,
        // As a replicating client sends them: with the revisions that it gave itself.
        docs: entities.map(({ id, data: { id: _, ...data } }) => ({
          ...{ _id: id, _rev: `1-${id.replaceAll('-', '')}`, ...data },
        })),
      }),
    assertStored: refuseAllBut('{"ok":true}', '[]'),
  },
  {
    name: 'rxdb-server',
    script: 'rxdb-server.mjs',
    prepare: () => Promise.resolve(),
    push: ({ url }, entities) =>
      post(
        `${url}/statement/0/push`,
        entities.map((entity) => ({ newDocumentState: { ...entity, _deleted: false } })),
      ),
    assertStored: refuseAllBut('[]'),
  },
];

/**
 * Pushes of one and of a hundred into each of them, the floor as for the platform. They know neither tenants,
 * owners, grants nor conflicts, and keep one copy of what they are sent: what their figures leave out is what
 * the platform is for.
 */
export async function measurePeers(world: World): Promise<OperationResult[]> {
  await installPeers((text) => world.out(`  ${text}`));
  const results: OperationResult[] = [];
  for (const kind of KINDS) {
    for (const size of [1, 100]) {
      for (const clients of [1, 16]) results.push(await measureOne(world, kind, size, clients));
    }
  }
  return results;
}

async function measureOne(world: World, kind: Kind, size: number, clients: number): Promise<OperationResult> {
  const total = (size === 1 ? world.sizes.pushesOfOne : world.sizes.pushes) * (clients === 1 ? 1 : 2);
  const peer = await startPeer(kind.script);
  const lanes = Array.from({ length: clients }, () => new KeepAliveClient());
  try {
    await kind.prepare(peer);
    const load: Load = { clients, total, leastWarmUp: 200, meter: meterOf(peer) };
    const prepared = lanes.map(() =>
      Array.from({ length: perLaneOf(load) }, () => kind.push(peer, entitiesOf(size))),
    );
    const samples = await runLoad(load, async (lane) => {
      const request = laneOf(prepared, lane).shift() ?? kind.push(peer, entitiesOf(size));
      kind.assertStored((await laneOf(lanes, lane).send(request)).body.toString());
    });
    const floor = await runFloor(world, load, (http) =>
      http.send(floorRequest(world, '/push', JSON.stringify({ mutations: floorOf(size) }))),
    );
    return result(`${kind.name}-push-${size}`, clients, samples, floor);
  } finally {
    for (const lane of lanes) lane.close();
    await peer.stop();
  }
}

function entitiesOf(size: number): Entity[] {
  return Array.from({ length: size }, (_, index) => {
    const id = randomUUID();
    return { id, data: statementData(id, index) };
  });
}

/** The floor reads of each mutation what it stores of it. */
function floorOf(size: number): object[] {
  return entitiesOf(size).map(({ id, data }) => ({ mutationId: id, entityId: id, data }));
}

/** Reads what the process of one peer used. */
function meterOf({ pid }: Peer): Pick<CostMeter, 'begin'> {
  const usedMs = async (): Promise<number> =>
    (await processTimes()).find((one) => one.pid === pid)?.ownMs ?? Number.NaN;
  return {
    begin: async () => {
      const before = await usedMs();
      const startedMs = performance.now();
      return async () => ({
        cpu: { peer: (await usedMs()) - before },
        ...{ walBytes: Number.NaN, tookMs: performance.now() - startedMs, projectedAfterMs: 0 },
        statements: null,
      });
    },
  };
}

function post(url: string, body: unknown): RawRequest {
  const headers = { 'content-type': 'application/json' };
  return { url, method: 'POST', headers, body: Buffer.from(JSON.stringify(body)) };
}

function refuseAllBut(...answers: readonly string[]): (answer: string) => void {
  return (answer) => {
    if (!answers.includes(answer.trim())) throw new Error(`a peer answered ${answer.slice(0, 500)}`);
  };
}
