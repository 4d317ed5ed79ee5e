import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { nkeys, type NatsConnection, PermissionViolationError } from '@nats-io/transport-node';
import { connectNats } from '@sync/messaging';
import { type RunningNats, startNats } from '@sync/messaging/testing';
import type { ServiceRights } from '@sync/protocol';
import { accountLines } from './nats-account.ts';

const RIGHTS: ServiceRights = {
  services: {
    learning: { entityTypes: ['note'], grants: ['course'] },
    shop: { entityTypes: ['order'], subjects: ['legacy.orders.>'], streams: ['LEGACY'] },
  },
  readers: ['analytics'],
};

/** One letter for each identity, in the tables below. */
const LETTERS = {
  g: 'sync-gateway',
  p: 'delta-projector',
  r: 'conflict-resolver',
  h: 'device-health',
  i: 'identity',
  l: 'learning',
  s: 'shop',
  a: 'analytics',
} as const;
const IDENTITIES = Object.values(LETTERS);

/**
 * Subject → who may publish it | who may listen to it. Written out by hand beside the declarations from which
 * the permissions come; whoever is not named is refused.
 */
const EXPECTED: Readonly<Record<string, string>> = {
  'sync.events.v1.0.learning': 'l|',
  'sync.events.v1.0.shop': 's|',
  'sync.events.v1.3.conflict-resolver': 'r|',
  'sync.events.v1.plain.shop.order': 's|',
  'sync.events.v1.plain.learning.note': 'l|',
  'sync.events.v1.>': '|',
  'sync.deltas.v1.0.delta-projector': 'p|',
  'sync.deltas.v1.0.learning': '|',
  'analytics.sync.v1.0.sync-gateway': 'g|',
  'analytics.sync.v1.0.device-health': 'h|',
  'analytics.sync.v1.0.learning': '|',
  'sync.push.v1.learning.note': 'gr|l',
  'sync.push.v1.shop.order': 'gr|s',
  'sync.push.v1.conflict-resolver.conflict': 'gr|r',
  'sync.snapshot.v1.learning.note': 'p|l',
  'sync.snapshot.v1.shop.order': 'p|s',
  'sync.upcast.v1.learning.note': 'g|l',
  'sync.registry.v1.register': '|g',
  'sync.registry.v1.register.learning': 'l|g',
  'sync.registry.v1.register.shop': 's|g',
  'sync.registry.v1.register.conflict-resolver': 'r|g',
  'sync.registry.v1.list': 'p|g',
  'sync.registry.v1.changed': 'g|gp',
  'identity.device-binding.v1.verify': 'g|i',
  'identity.device-binding.v1.revoked': 'i|g',
  'sync.hint.v1.gateway': 'g|g',
  'sync.explain.v1.projector': 'g|p',
  'sync.dead-letters.v1.list': 'g|p',
  'sync.dead-letters.v1.replay': 'g|p',
  'sync.projector.v1.rebuild': 'g|p',
  'sync.projector.v1.deleted-data': 'g|p',
  'sync.health.v1.devices': 'g|h',
  'sync.conflicts.v1.list': 'g|r',
  'sync.conflicts.v1.show': 'g|r',
  'sync.conflicts.v1.resolve': 'g|r',
  'sync.conflicts.v1.history': 'g|r',
  'sync.conflicts.v1.verify': 'g|r',
  'sync.suggestions.v1.request': 'g|r',
  'sync.suggestions.v1.settings': 'g|r',
  'sync.head.v1.DOMAIN_EVENTS.0.learning': 'l|p',
  'sync.head.v1.DELTAS.0.delta-projector': 'p|g',
  'sync.head.v1.SYNC_EVENTS.0.sync-gateway': 'g|hra',
  'sync.replay.v1.learning': 'p|l',
  'sync.replay.v1.conflict-resolver': 'phra|r',
  'sync.replay.v1.delta-projector': 'gphra|p',
  'sync.replay.v1.sync-gateway': 'hra|g',
  'sync.replay.v1.device-health': 'hra|h',
  'sync.kick.v1.learning': 'l|l',
  'sync.kick.v1.sync-gateway': 'g|g',
  'sync.fault.v1.learning': '|l',
  'sync.fault.v1.sync-gateway': '|g',
  'sync.probe.v1.store': 'gprhilsa|',
  'learning.anything': 'gprl|l',
  'shop.anything': 'gprs|s',
  'legacy.orders.push': 'gprs|s',
  'legacy.invoices.push': '|',
  'other.app.command': '|',
  '_INBOX.sync-gateway.x': '|g',
  '_INBOX.learning.x': '|l',
  '_INBOX.shop.x': '|s',
  '_INBOX.x': '|',
  '_INBOX.>': '|',
  'sync.>': '|',
  '>': '|',
  '$SYS.>': '|',
  '$SYS.REQ.SERVER.PING': '|',
  '$JS.API.INFO': '|',
  '$JS.API.STREAM.INFO.DOMAIN_EVENTS': 'gprls|',
  '$JS.API.STREAM.INFO.DELTAS': 'gp|',
  '$JS.API.STREAM.INFO.SYNC_EVENTS': 'gprha|',
  '$JS.API.STREAM.INFO.SYNC_PROBE': 'gprhilsa|',
  '$JS.API.STREAM.CREATE.DOMAIN_EVENTS': 'gpr|',
  '$JS.API.STREAM.CREATE.DELTAS': 'gp|',
  '$JS.API.STREAM.CREATE.MINE': '|',
  '$JS.API.STREAM.UPDATE.SYNC_EVENTS': 'gprh|',
  '$JS.API.STREAM.DELETE.DOMAIN_EVENTS': '|',
  '$JS.API.STREAM.PURGE.DOMAIN_EVENTS': '|',
  '$JS.API.STREAM.MSG.GET.DOMAIN_EVENTS': '|',
  '$JS.API.STREAM.MSG.DELETE.DOMAIN_EVENTS': '|',
  '$JS.API.STREAM.NAMES': 'p|',
  '$JS.API.DIRECT.GET.DOMAIN_EVENTS': '|',
  '$JS.API.DIRECT.GET.DOMAIN_EVENTS.sync.events.v1.0.learning': 'l|',
  '$JS.API.DIRECT.GET.DOMAIN_EVENTS.sync.events.v1.0.shop': 's|',
  '$JS.API.DIRECT.GET.DELTAS.sync.deltas.v1.0.delta-projector': 'p|',
  '$JS.API.CONSUMER.CREATE.DELTAS.sync-gateway-0.sync.deltas.v1.0.x': 'g|',
  '$JS.API.CONSUMER.CREATE.DELTAS.learning-0.sync.deltas.v1.0.x': '|',
  '$JS.API.CONSUMER.CREATE.DOMAIN_EVENTS.delta-projector-plain.sync.events.v1.plain.x': 'p|',
  '$JS.API.CONSUMER.CREATE.DOMAIN_EVENTS': '|',
  '$JS.API.CONSUMER.MSG.NEXT.SYNC_EVENTS.analytics-0': 'a|',
  '$JS.API.CONSUMER.MSG.NEXT.SYNC_EVENTS.device-health-0': 'h|',
  '$JS.API.CONSUMER.DELETE.DELTAS.sync-gateway-0': 'g|',
  '$JS.API.CONSUMER.CREATE.LEGACY.delta-projector-1.legacy.x': 'p|',
  '$JS.ACK.DELTAS.sync-gateway-0.1.1.1.1.0': 'g|',
  '$JS.ACK.LEGACY.delta-projector-1.1.1.1.1.0': 'p|',
};

/** Named publications of a subject with wildcards make no sense; that nobody may listen to them does. */
const PUBLISHED = Object.keys(EXPECTED).filter((subject) => !/[*>]/.test(subject));

let server: RunningNats;
const connections = new Map<string, NatsConnection>();

beforeAll(async () => {
  const pairs = IDENTITIES.map((service) => [service, nkeys.createUser()] as const);
  const keys = Object.fromEntries(pairs.map(([service, pair]) => [service, [pair.getPublicKey()]]));
  server = await startNats({
    own: true,
    configuration: accountLines({ account: 'TEST', rights: RIGHTS, keys }),
  });
  for (const [service, pair] of pairs) {
    const nkeySeed = new TextDecoder().decode(pair.getSeed());
    const identity = { service, nkeySeed };
    connections.set(service, await connectNats({ url: server.url, name: service, identity }));
  }
});
afterAll(async () => {
  for (const connection of connections.values()) await connection.close();
  await server.stop();
});

/** The subjects of these that the server refused to this service. */
async function refused(
  service: string,
  operation: 'publish' | 'subscription',
  attempted: readonly string[],
): Promise<Set<string>> {
  const nats = connections.get(service);
  if (nats === undefined) throw new Error(`${service} is not connected`);
  const found = new Set<string>();
  const statuses = nats.status();
  const collecting = (async (): Promise<void> => {
    for await (const status of statuses) {
      if (status.type !== 'error' || !(status.error instanceof PermissionViolationError)) continue;
      if (status.error.operation === operation) found.add(status.error.subject);
    }
  })();
  for (const subject of attempted) {
    if (operation === 'publish') nats.publish(subject, '{}', { reply: `_INBOX.${service}.test` });
    else nats.subscribe(subject, { callback: () => undefined });
  }
  // The server answers in order: what it refused it has said before it answers this.
  await nats.flush();
  await nats.flush();
  void collecting;
  return found;
}

async function allowed(
  operation: 'publish' | 'subscription',
  attempted: readonly string[],
): Promise<Map<string, string>> {
  const letters = new Map(attempted.map((subject) => [subject, '']));
  for (const [letter, service] of Object.entries(LETTERS)) {
    const no = await refused(service, operation, attempted);
    for (const subject of attempted) {
      if (!no.has(subject)) letters.set(subject, (letters.get(subject) ?? '') + letter);
    }
  }
  return letters;
}

const sorted = (letters = ''): string => Array.from(letters).sort().join('');

describe('the account of an environment', () => {
  it('lets nobody in who has no key of it', async () => {
    const stranger = nkeys.createUser();
    const identity = { service: 'learning', nkeySeed: new TextDecoder().decode(stranger.getSeed()) };
    const connecting = connectNats({
      url: server.url,
      name: 'stranger',
      identity,
      waitOnFirstConnect: false,
    });
    await expect(connecting).rejects.toThrow('Authorization Violation');
    const nobody = connectNats({ url: server.url, name: 'nobody', waitOnFirstConnect: false });
    await expect(nobody).rejects.toThrow('Authorization Violation');
  });

  it('lets each service publish what its channels say, and nothing else', async () => {
    const found = await allowed('publish', PUBLISHED);
    const expected = PUBLISHED.map((subject) => [subject, sorted(EXPECTED[subject]?.split('|')[0])]);
    expect([...found].map(([subject, letters]) => [subject, sorted(letters)])).toEqual(expected);
  });

  it('lets each service listen to what its channels say, and nothing else', async () => {
    const subjects = Object.keys(EXPECTED);
    const found = await allowed('subscription', subjects);
    const expected = subjects.map((subject) => [subject, sorted(EXPECTED[subject]?.split('|')[1])]);
    expect([...found].map(([subject, letters]) => [subject, sorted(letters)])).toEqual(expected);
  });

  it('lets whoever was asked answer, once, and only there', async () => {
    const owner = connections.get('learning');
    const gateway = connections.get('sync-gateway');
    if (owner === undefined || gateway === undefined) throw new Error('not connected');
    owner.subscribe('sync.push.v1.learning.*', {
      callback: (_error, message) => void message.respond('yes'),
    });
    await owner.flush();
    const reply = await gateway.request('sync.push.v1.learning.note', '{}', { timeout: 5_000 });
    expect(reply.string()).toBe('yes');
    expect(await refused('learning', 'publish', [reply.subject])).toEqual(new Set([reply.subject]));
  });
});
