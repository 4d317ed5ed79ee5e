import {
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type JetStreamManager,
  type StreamConfig,
} from '@nats-io/jetstream';
import { setTimeout as sleep } from 'node:timers/promises';
import { nanos, type NatsConnection } from '@nats-io/transport-node';
import { PROBE_STREAM, type StreamDeclaration } from '@sync/protocol';

/**
 * Thrown when the server keeps another configuration than asked for: older servers ignore options silently.
 */
export class StreamMismatchError extends Error {
  override readonly name = 'StreamMismatchError';
}

const HOUR_MS = 3_600_000;
const LOOK_AGAIN_MS = 250;
/** How many replicas this process asked for, so that a stream restored later is no weaker than before. */
const replicasOf = new WeakMap<NatsConnection, number>();

type DeclaredConfig = Pick<
  StreamConfig,
  | 'name'
  | 'subjects'
  | 'retention'
  | 'storage'
  | 'max_age'
  | 'max_bytes'
  | 'duplicate_window'
  | 'discard'
  | 'num_replicas'
  | 'allow_direct'
>;

/**
 * Creates the declared streams, and the one of the `StoreProbe`, or brings existing ones to their
 * declaration, then compares what the server answers. For the platform's apps: nobody else may create
 * streams, and calls {@link awaitStreams}.
 *
 * @param replicas 1 on a single server, 3 in a cluster; a stream that has more keeps them, so that a process
 * that was told of fewer does no harm
 * @throws StreamMismatchError naming every option the server did not keep
 * @throws JetStreamApiError when the server refuses, for example for lack of storage
 */
export async function ensureStreams(
  nats: NatsConnection,
  declarations: readonly StreamDeclaration[],
  replicas = 1,
): Promise<void> {
  replicasOf.set(nats, replicas);
  const manager = await jetstreamManager(nats, { checkAPI: false });
  for (const declaration of [...declarations, PROBE_STREAM]) {
    await ensureStream(manager, configOf(declaration, replicas));
  }
}

/**
 * Waits until one of the platform's apps has created the streams: what a service does at its start that owns
 * entities or reads events. It asks for nothing that the permissions of such a service refuse, so the log of
 * NATS stays free of violations that mean no harm.
 *
 * @param onMissing called once for each stream that is not there yet, so that the log says what is waited for
 */
export async function awaitStreams(
  nats: NatsConnection,
  declarations: readonly StreamDeclaration[],
  onMissing: (stream: string) => void = () => undefined,
): Promise<void> {
  const manager = await jetstreamManager(nats, { checkAPI: false });
  for (const { name } of declarations) {
    if ((await findStream(manager, name)) !== undefined) continue;
    onMissing(name);
    while ((await findStream(manager, name)) === undefined) await sleep(LOOK_AGAIN_MS);
  }
}

/**
 * Creates one stream if it does not exist: what relays and consumers do after a server came back without its
 * store. It gets the replicas of this connection's {@link ensureStreams}. An existing stream is left as it
 * is, so that the processes of two versions do not fight over it.
 *
 * Only a process that ensured the streams when it started creates them again. Any other process, a service
 * that owns entities for example, has no permission to create streams: it does nothing here, and tries again
 * until one of the platform's apps has created them.
 */
export async function restoreStream(nats: NatsConnection, declaration: StreamDeclaration): Promise<void> {
  const replicas = replicasOf.get(nats);
  if (replicas === undefined) return;
  const manager = await jetstreamManager(nats, { checkAPI: false });
  const existing = await findStream(manager, declaration.name);
  if (existing === undefined) await manager.streams.add(configOf(declaration, replicas));
}

function configOf(declaration: StreamDeclaration, replicas: number): DeclaredConfig {
  return {
    name: declaration.name,
    subjects: [`${declaration.subjectPrefix}.>`],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    max_age: nanos(declaration.maxAgeHours * HOUR_MS),
    max_bytes: declaration.maxBytes,
    duplicate_window: nanos(declaration.duplicateWindowMs),
    discard: DiscardPolicy.Old,
    num_replicas: replicas,
    // A relay asks for its own last message by subject, which permissions can tell from other subjects.
    allow_direct: true,
  };
}

async function ensureStream(manager: JetStreamManager, wanted: DeclaredConfig): Promise<void> {
  const existing = await findStream(manager, wanted.name);
  if (existing === undefined) {
    const { config } = await manager.streams.add(wanted);
    assertKept(wanted, config);
    return;
  }
  const atLeast = { ...wanted, num_replicas: Math.max(wanted.num_replicas, existing.num_replicas) };
  if (differences(atLeast, existing).length === 0) return;
  const { config } = await manager.streams.update(atLeast.name, atLeast);
  assertKept(atLeast, config);
}

async function findStream(manager: JetStreamManager, name: string): Promise<StreamConfig | undefined> {
  try {
    return (await manager.streams.info(name)).config;
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound)
      return undefined;
    throw error;
  }
}

function assertKept(wanted: DeclaredConfig, kept: StreamConfig): void {
  const different = differences(wanted, kept);
  if (different.length > 0) {
    throw new StreamMismatchError(`Stream ${wanted.name}: the server did not keep ${different.join(', ')}`);
  }
}

function differences(wanted: DeclaredConfig, kept: StreamConfig): string[] {
  return (Object.keys(wanted) as (keyof DeclaredConfig)[])
    .filter((option) => JSON.stringify(wanted[option]) !== JSON.stringify(kept[option]))
    .map(
      (option) => `${option} (asked ${JSON.stringify(wanted[option])}, got ${JSON.stringify(kept[option])})`,
    );
}
