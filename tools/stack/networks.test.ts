import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parse, parseAllDocuments } from 'yaml';
import { SERVICES } from './services.ts';

const infra = (file: string): string =>
  readFileSync(resolve(import.meta.dirname, '../../infra', file), 'utf8');

const PROCESSES = SERVICES.map(({ app }) => app);
const MIGRATIONS = PROCESSES.map((app) => `${app}-migration`);
const INSIDE = [...PROCESSES, ...MIGRATIONS, 'nats', 'postgres'];
/** Namespaces, and an address outside of them. */
const OUTSIDE = ['ingress', 'monitoring', 'somebody', '93.184.216.34', '10.1.2.3'];
const PORTS = [443, 4222, 5432, 6222, 8080, 9090] as const;

/** Every connection that somebody needs, as `who → whom:port`. */
const NEEDED = new Set([
  ...PROCESSES.flatMap((app) => [`${app} → nats:4222`, `${app} → postgres:5432`, `monitoring → ${app}:9090`]),
  ...MIGRATIONS.map((job) => `${job} → postgres:5432`),
  ...['sync-gateway', 'identity', 'learning', 'authoring', 'analytics'].map((app) => `ingress → ${app}:8080`),
  'sync-gateway → identity:8080',
  'nats → nats:6222',
  'conflict-resolver → 93.184.216.34:443',
]);

interface Selector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly { key: string; operator: string; values: readonly string[] }[];
}
interface Peer {
  readonly podSelector?: Selector;
  readonly namespaceSelector?: Selector;
  readonly ipBlock?: { readonly cidr: string; readonly except: readonly string[] };
}
interface Rule {
  readonly from?: readonly Peer[];
  readonly to?: readonly Peer[];
  readonly ports: readonly { readonly protocol: string; readonly port: number }[];
}
interface Policy {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly podSelector: Selector;
    readonly policyTypes: readonly ('Ingress' | 'Egress')[];
    readonly ingress?: readonly Rule[];
    readonly egress?: readonly Rule[];
  };
}

/** The labels of a pod, as the head of the file asks for them. */
function labelsOf(name: string): Readonly<Record<string, string>> {
  if (MIGRATIONS.includes(name)) {
    return { app: name.slice(0, -'-migration'.length), 'sync.role': 'migration' };
  }
  return { app: name, ...(PROCESSES.includes(name) ? { 'sync.role': 'process' } : {}) };
}

function matches(selector: Selector, labels: Readonly<Record<string, string>>): boolean {
  const listed = (selector.matchExpressions ?? []).every(({ key, operator, values }) => {
    if (operator !== 'In') throw new Error(`This test does not know the operator ${operator}`);
    return values.includes(labels[key] ?? '');
  });
  return listed && Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value);
}

function isPeer(peer: Peer, name: string): boolean {
  if (peer.podSelector) return INSIDE.includes(name) && matches(peer.podSelector, labelsOf(name));
  if (peer.namespaceSelector) {
    return !INSIDE.includes(name) && matches(peer.namespaceSelector, { 'kubernetes.io/metadata.name': name });
  }
  // No pod, and of these blocks it is enough to compare the first number.
  const first = `${name.split('.')[0] ?? ''}.`;
  return /^\d/.test(name) && !(peer.ipBlock?.except ?? []).some((block) => block.startsWith(first));
}

describe('infra/kubernetes/network-policies.yaml', () => {
  const policies = parseAllDocuments(infra('kubernetes/network-policies.yaml')).map(
    (document) => document.toJS() as Policy,
  );

  /** As Kubernetes does: a pod that some policy selects gets what one of them lets through. */
  function lets(name: string, direction: 'ingress' | 'egress', other: string, port: number): boolean {
    if (!INSIDE.includes(name)) return true;
    const selected = policies.filter(({ spec }) => matches(spec.podSelector, labelsOf(name)));
    const judged = selected.filter(({ spec }) =>
      spec.policyTypes.includes(direction === 'ingress' ? 'Ingress' : 'Egress'),
    );
    if (judged.length === 0) return true;
    return judged
      .flatMap(({ spec }) => spec[direction] ?? [])
      .some(
        (rule) =>
          rule.ports.some((allowed) => allowed.protocol === 'TCP' && allowed.port === port) &&
          (rule[direction === 'ingress' ? 'from' : 'to'] ?? []).some((peer) => isPeer(peer, other)),
      );
  }

  it('lets through what is needed, and nothing else', () => {
    const everybody = [...INSIDE, ...OUTSIDE];
    const open = everybody.flatMap((from) =>
      everybody
        .filter((to) => INSIDE.includes(from) || INSIDE.includes(to))
        .flatMap((to) =>
          PORTS.filter((port) => lets(from, 'egress', to, port) && lets(to, 'ingress', from, port)).map(
            (port) => `${from} → ${to}:${port}`,
          ),
        ),
    );
    expect(open.sort()).toEqual([...NEEDED].sort());
  });

  it('says where each policy acts', () => {
    for (const { spec } of policies) {
      expect(spec.policyTypes.includes('Ingress') || spec.ingress === undefined).toBe(true);
      expect(spec.policyTypes.includes('Egress') || spec.egress === undefined).toBe(true);
    }
  });
});

describe('the networks of infra/compose.yaml', () => {
  const { services, networks } = parse(infra('compose.yaml'), { merge: true }) as {
    services: Record<string, { networks: readonly string[]; ports?: readonly string[] }>;
    networks: Record<string, { internal?: boolean } | null>;
  };
  const share = (one: string, other: string): boolean =>
    (services[one]?.networks ?? []).some((network) => services[other]?.networks.includes(network));

  it('has everybody in networks that are declared', () => {
    const used = new Set(Object.values(services).flatMap((service) => service.networks));
    expect([...used].sort()).toEqual(Object.keys(networks).sort());
    expect(Object.keys(services).sort()).toEqual([...INSIDE, 'balancer'].sort());
  });

  it('connects whom Kubernetes would connect', () => {
    const pairs = [...NEEDED].map((needed) => needed.split(/ → |:/));
    for (const [from = '', to = ''] of pairs.filter(
      ([one, other]) => services[one ?? ''] && services[other ?? ''],
    )) {
      expect(`${from} → ${to}: ${share(from, to)}`).toBe(`${from} → ${to}: true`);
    }
  });

  it('has migrations and NATS apart, and nothing of the inside where it reaches the world', () => {
    for (const job of MIGRATIONS) expect(services[job]?.networks).toEqual(['data']);
    expect([services['nats']?.networks, services['postgres']?.networks]).toEqual([['bus'], ['data']]);
    const outward = Object.keys(services).filter((name) =>
      services[name]?.networks.some((network) => networks[network]?.internal !== true),
    );
    const publish = Object.keys(services).filter((name) => services[name]?.ports);
    // Gateways ask an identity service that may be elsewhere, and the resolver a model.
    expect(outward.sort()).toEqual([...publish, 'sync-gateway', 'conflict-resolver'].sort());
  });
});
