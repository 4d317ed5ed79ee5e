/** What the plan needs to know of a mutation in a push batch. */
export interface LaneItem {
  readonly mutationId: string;
  readonly entityType: string;
  readonly entityId: string;
  readonly dependsOn: readonly string[];
}

/**
 * Why a mutation of the batch cannot be planned: `dependency_cycle` when it (or its place in its lane) waits
 * for itself, `dependency_failed` when it depends on one that cannot be planned.
 */
export type BlockedCode = 'dependency_cycle' | 'dependency_failed';

/** The plan of a push batch; every number is an index into it. */
export interface LanePlan {
  /**
   * Waves run one after the other; inside a wave all lanes (entities) run in parallel, the mutations of one
   * lane in the given order. Each mutation is in exactly one wave or in `blocked`.
   */
  readonly waves: readonly (readonly number[])[];
  readonly blocked: ReadonlyMap<number, BlockedCode>;
  /** The dependencies that are not in this batch: the caller looks them up in the ledger. */
  readonly external: ReadonlyMap<number, readonly string[]>;
}

interface Edges {
  /** A number per entity. */
  readonly lane: readonly number[];
  /** The mutation before this one in its lane, −1 for the first. */
  readonly before: readonly number[];
  /** The mutations of the batch that this one depends on, itself included if it says so. */
  readonly dependencies: readonly (readonly number[])[];
  readonly external: ReadonlyMap<number, readonly string[]>;
}

/**
 * Plans a push batch: order is kept per entity and along `dependsOn`, everything else runs at once, so that
 * one bad or slow mutation never holds back other entities.
 *
 * A mutation of the same lane shares its predecessor's wave, because the owning service applies a batch in
 * order; a dependency on another entity's mutation forces a later wave, and takes the rest of its lane along.
 * Dependencies may point forward in the batch. Time and memory are linear in mutations plus dependencies; the
 * result depends on nothing but the input.
 */
export function planLanes(mutations: readonly LaneItem[]): LanePlan {
  const edges = readEdges(mutations);
  const { order, cyclic } = orderByDependency(edges);
  const blocked = new Map<number, BlockedCode>([...cyclic].map((index) => [index, 'dependency_cycle']));
  const waveOf = new Array<number>(mutations.length).fill(0);
  // The nearest planned predecessor in the lane: a blocked mutation does not hold its lane back, but the one
  // after it still comes after the one before it.
  const planned = [...edges.before];
  for (const index of order) {
    let before = planned[index] as number;
    while (before >= 0 && blocked.has(before)) before = planned[before] as number;
    planned[index] = before;
    const dependencies = edges.dependencies[index] as readonly number[];
    if (blocked.has(index)) continue;
    if (dependencies.some((dependency) => blocked.has(dependency))) blocked.set(index, 'dependency_failed');
    let wave = before < 0 ? 0 : (waveOf[before] as number);
    for (const dependency of dependencies) {
      const sameLane = edges.lane[dependency] === edges.lane[index];
      wave = Math.max(wave, (waveOf[dependency] as number) + (sameLane ? 0 : 1));
    }
    waveOf[index] = wave;
  }
  return { waves: collectWaves(waveOf, blocked), blocked, external: edges.external };
}

function readEdges(mutations: readonly LaneItem[]): Edges {
  const indexOf = new Map<string, number>();
  mutations.forEach(({ mutationId }, index) => {
    // The first of two equal ids stands for both: the second is answered from the first one's outcome.
    if (!indexOf.has(mutationId)) indexOf.set(mutationId, index);
  });
  const lanes = new Map<string, { lane: number; last: number }>();
  const external = new Map<number, string[]>();
  const edges = { lane: [] as number[], before: [] as number[], dependencies: [] as number[][], external };
  mutations.forEach((mutation, index) => {
    // NUL cannot occur in either part, so two different pairs never share a lane.
    const key = `${mutation.entityType}\u0000${mutation.entityId}`;
    const known = lanes.get(key);
    const lane = known?.lane ?? lanes.size;
    edges.lane.push(lane);
    edges.before.push(known?.last ?? -1);
    lanes.set(key, { lane, last: index });
    const inside: number[] = [];
    const outside: string[] = [];
    for (const mutationId of new Set(mutation.dependsOn)) {
      const dependency = indexOf.get(mutationId);
      if (dependency === undefined) outside.push(mutationId);
      else inside.push(dependency);
    }
    edges.dependencies.push(inside);
    if (outside.length > 0) external.set(index, outside);
  });
  return edges;
}

function collectWaves(waveOf: readonly number[], blocked: ReadonlyMap<number, BlockedCode>): number[][] {
  const waves: number[][] = [];
  waveOf.forEach((wave, index) => {
    if (!blocked.has(index)) (waves[wave] ??= []).push(index);
  });
  return waves;
}

/**
 * The mutations in an order in which each comes after what it waits for (its lane predecessor and its
 * dependencies), and those on a cycle. Tarjan's strongly connected components (1972), which come out in just
 * that order; with an explicit stack, because a lane of 500 with dependencies is a deep recursion.
 */
function orderByDependency(edges: Edges): { order: number[]; cyclic: Set<number> } {
  const count = edges.before.length;
  const order: number[] = [];
  const cyclic = new Set<number>();
  const visited = new Array<number>(count).fill(-1);
  const low = new Array<number>(count).fill(0);
  const open: number[] = [];
  const isOpen = new Array<boolean>(count).fill(false);
  let clockTick = 0;

  const targetsOf = (index: number): readonly number[] => {
    const before = edges.before[index] as number;
    const dependencies = edges.dependencies[index] as readonly number[];
    return before < 0 ? dependencies : [before, ...dependencies];
  };
  const enter = (index: number): { index: number; targets: readonly number[]; next: number } => {
    visited[index] = low[index] = clockTick++;
    open.push(index);
    isOpen[index] = true;
    return { index, targets: targetsOf(index), next: 0 };
  };
  const close = (index: number): void => {
    const component = open.splice(open.lastIndexOf(index));
    for (const member of component) isOpen[member] = false;
    const selfLoop = (edges.dependencies[index] as readonly number[]).includes(index);
    if (component.length > 1 || selfLoop) component.forEach((member) => cyclic.add(member));
    order.push(...component);
  };

  for (let root = 0; root < count; root++) {
    if (visited[root] !== -1) continue;
    const path = [enter(root)];
    for (let frame = path.at(-1); frame !== undefined; frame = path.at(-1)) {
      const target = frame.targets[frame.next++];
      if (target === undefined) {
        path.pop();
        if (low[frame.index] === visited[frame.index]) close(frame.index);
        const parent = path.at(-1);
        if (parent) low[parent.index] = Math.min(low[parent.index] as number, low[frame.index] as number);
      } else if (visited[target] === -1) {
        path.push(enter(target));
      } else if (isOpen[target]) {
        low[frame.index] = Math.min(low[frame.index] as number, visited[target] as number);
      }
    }
  }
  return { order, cyclic };
}
