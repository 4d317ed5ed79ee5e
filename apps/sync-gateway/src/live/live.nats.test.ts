import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { subjects } from '@sync/protocol';
import { WebSocket } from 'ws';
import { GatewayRig } from '../testing/gateway-rig.ts';
import type { TestDevice } from '../testing/test-identity.ts';
import { TestProjector } from '../testing/test-projector.ts';
import { until } from '../testing/until.ts';

let rig: GatewayRig;
const open: Client[] = [];
/** Whether somebody waits for what is locked. */
const WAITS = `SELECT EXISTS (
  SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock') AS waits`;

beforeAll(async () => {
  rig = await GatewayRig.start();
});
afterEach(() => {
  for (const client of open.splice(0)) client.socket.terminate();
});
afterAll(() => rig.stop());

/** A client that notes what it gets. */
interface Client {
  readonly socket: WebSocket;
  readonly notices: string[][];
  /** Its close code and reason, once closed. */
  code: number | null;
  reason: string;
}

async function ticketOf(device: TestDevice): Promise<string> {
  const answer = await rig.call<{ ticket: string }>(device, 'tickets', {});
  expect(answer.status).toBe(200);
  return answer.body.ticket;
}

function connect(ticket: string, url = rig.url): Client {
  const socket = new WebSocket(
    `${url.replace('http', 'ws')}/sync/v1/live?ticket=${encodeURIComponent(ticket)}`,
  );
  const client: Client = { socket, notices: [], code: null, reason: '' };
  socket.on('message', (data: Buffer) => {
    client.notices.push((JSON.parse(data.toString()) as { scopes: string[] }).scopes);
  });
  socket.on('close', (code, reason: Buffer) => Object.assign(client, { code, reason: reason.toString() }));
  socket.on('error', () => undefined);
  open.push(client);
  return client;
}

/** Until the gateway counts it among the sockets of its user, and has said so. */
async function registered(client: Client): Promise<void> {
  await until(() => (client.notices.length > 0 ? true : null));
}

/** Connected and registered. */
async function connected(device: TestDevice, url = rig.url): Promise<Client> {
  const client = connect(await ticketOf(device), url);
  await once(client.socket, 'open');
  await registered(client);
  client.notices.length = 0;
  return client;
}

/** A grant that stands in the database, and of which nobody has told yet. */
async function grantUnheard({ tenantId, userId }: TestDevice, scope: string): Promise<void> {
  await rig.test.database.inTenant(tenantId, (tx) =>
    tx.query(
      `INSERT INTO scope_grant (tenant_id, user_id, scope, source_type, source_id, granted, revision,
         ingest_partition, ingest_number) VALUES ($1, $2, $3, 'test', 'unheard', true, 1, 0, 0)`,
      [tenantId, userId, scope],
    ),
  );
}

/**
 * A client whose ticket is redeemed as long as something is under way: what its user holds was read before.
 */
async function arriving(device: TestDevice, meanwhile: () => Promise<void>): Promise<Client> {
  const ticket = await ticketOf(device);
  return rig.test.database.inTenant(device.tenantId, async (tx) => {
    await tx.query('SELECT FROM live_ticket WHERE user_id = $1 FOR UPDATE', [device.userId]);
    const client = connect(ticket);
    await until(async () => {
      const [row] = await rig.test.database.call<{ waits: boolean }>('waits', WAITS, []);
      return row?.waits ? true : null;
    });
    await meanwhile();
    return client;
  });
}

function hint(news: object): void {
  rig.nats.publish(subjects.gatewayHint, JSON.stringify({ from: 'test', news }));
}

async function closeCode(client: Client): Promise<number> {
  return until(() => client.code);
}

describe('a ticket', () => {
  it('opens one socket', async () => {
    const device = await rig.device();
    const ticket = await ticketOf(device);
    const first = connect(ticket);
    // An open socket may still be waiting for its ticket to be redeemed, and a second one would then come
    // before it.
    await registered(first);
    const second = connect(ticket);
    expect(await closeCode(second)).toBe(4401);
    expect(first.code).toBeNull();
  });

  it('says when it ends, and has then ended', async () => {
    const device = await rig.device();
    const answer = await rig.call(device, 'tickets', {});
    const lifetimeMs =
      Date.parse(String(answer.body['expiresAt'])) - Date.parse(String(answer.body['serverTime']));
    expect(Math.round(lifetimeMs / 1000)).toBe(30);
    await rig.test.database.inTenant('t1', (tx) => tx.query('UPDATE live_ticket SET expires_at = now()'));
    expect(await closeCode(connect(String(answer.body['ticket'])))).toBe(4401);
  });

  it.each(['', 'nonsense', `t1.${'a'.repeat(43)}`, `t1' --.${'a'.repeat(43)}`])(
    'is not %j',
    async (ticket) => {
      expect(await closeCode(connect(ticket))).toBe(4401);
    },
  );

  it('of a device that was revoked meanwhile opens nothing', async () => {
    const device = await rig.device();
    const ticket = await ticketOf(device);
    await rig.identity.revoke(device);
    expect([4401, 4403]).toContain(await closeCode(connect(ticket)));
  });

  it('is given out a bounded number of times', async () => {
    const device = await rig.device();
    const answers = await Promise.all(Array.from({ length: 20 }, () => rig.call(device, 'tickets', {})));
    const last = answers.filter(({ status }) => status === 429);
    expect(last.length).toBeGreaterThan(0);
    expect(last[0]?.body['code']).toBe('rate_limited');
    expect(last[0]?.headers.get('retry-after')).toBe('30');
  });
});

describe('a live socket', () => {
  it('is told at first of all scopes, for what came while its ticket was redeemed', async () => {
    const device = await rig.device();
    rig.projector.grant('t1', device.userId, 'course:held');
    await rig.ingest();
    const client = connect(await ticketOf(device));
    await registered(client);
    expect(client.notices).toEqual([['course:held', `user:${device.userId}`]]);
  });

  it('is told the scopes that moved, only those that its user holds, by the stream of deltas alone', async () => {
    const device = await rig.device();
    rig.projector.grant('t1', device.userId, 'course:held');
    await rig.ingest();
    const client = await connected(device);
    rig.projector
      .put('t1', 'course:held', 'b1')
      .put('t1', 'course:other', 'b2')
      .put('t2', 'course:held', 'b3');
    await rig.ingest();
    await until(() => (client.notices.length > 0 ? true : null));
    expect(client.notices).toEqual([['course:held']]);
  });

  it('is told a scope that was granted just now, and its later changes', async () => {
    const device = await rig.device();
    const client = await connected(device);
    rig.projector.grant('t1', device.userId, 'course:fresh');
    await rig.ingest();
    await until(() => (client.notices.flat().includes('course:fresh') ? true : null));
    client.notices.length = 0;
    rig.projector.put('t1', 'course:fresh', 'b1');
    await rig.ingest();
    await until(() => (client.notices.flat().includes('course:fresh') ? true : null));
  });

  it('is told a scope of which another socket of its user was the first to know', async () => {
    const device = await rig.device();
    const client = await connected(device);
    await grantUnheard(device, 'course:early');
    await connected(await rig.device('t1', device.userId));
    hint({ users: [{ tenantId: 't1', userId: device.userId }] });
    await until(() => (client.notices.flat().includes('course:early') ? true : null));
  });

  it('is told what was granted while it arrived, by news that everything may have changed', async () => {
    const device = await rig.device();
    const witness = await connected(await rig.device());
    const client = await arriving(device, async () => {
      await grantUnheard(device, 'course:meanwhile');
      hint({ everything: true });
      await until(() => (witness.notices.length > 0 ? true : null));
    });
    await until(() => (client.notices.flat().includes('course:meanwhile') ? true : null));
  });

  it('is told what was granted while it arrived, when its tenant was not looked for', async () => {
    const device = await rig.device('t3');
    const other = await rig.device('t4');
    const witness = await connected(other);
    const client = await arriving(device, async () => {
      const lost = new TestProjector().put('t4', `user:${other.userId}`, 'n1');
      await lost.grant('t3', device.userId, 'course:meanwhile').ingest(rig.test.database, undefined, 9);
      await until(() => (witness.notices.length > 0 ? true : null));
    });
    await until(() => (client.notices.flat().includes('course:meanwhile') ? true : null));
  });

  it('is told when an outcome waits for its device', async () => {
    const device = await rig.device();
    const client = await connected(device);
    const { tenantId, userId, deviceId } = device;
    hint({
      devices: [
        { tenantId, userId, deviceId: 'another' },
        { tenantId, userId, deviceId },
      ],
    });
    await until(() => (client.notices.length > 0 ? true : null));
    expect(client.notices).toEqual([[`user:${userId}`]]);
  });

  it('gets what comes together as one notice', async () => {
    const device = await rig.device();
    const client = await connected(device);
    const scope = { tenantId: 't1', scope: `user:${device.userId}` };
    for (let at = 0; at < 50; at += 1) hint({ scopes: [scope] });
    await until(() => (client.notices.length > 0 ? true : null));
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(client.notices.length).toBeLessThan(5);
  });

  it('closes with 4403 when its device is revoked, and no other device does', async () => {
    const device = await rig.device();
    const sibling = await rig.device('t1', device.userId);
    const [client, other] = [await connected(device), await connected(sibling)];
    await rig.identity.revoke(device);
    expect(await closeCode(client)).toBe(4403);
    expect(other.code).toBeNull();
  });

  it('closes with 4403 when the revocation was missed in a lost connection', async () => {
    const device = await rig.device();
    const client = await connected(device);
    await rig.identity.revoke(device, true);
    await rig.server.restart();
    expect(await closeCode(client)).toBe(4403);
  });

  it('makes room when a device has more than eight', async () => {
    const device = await rig.device();
    const clients: Client[] = [];
    for (let at = 0; at < 9; at += 1) clients.push(await connected(device));
    expect(await closeCode(clients[0] as Client)).toBe(4409);
    expect(clients.slice(1).map(({ code }) => code)).toEqual(Array(8).fill(null));
  });

  it('is one of eight in the end, however many its device opens', async () => {
    const device = await rig.device();
    const clients: Client[] = [];
    for (let at = 0; at < 20; at += 1) {
      const client = connect(await ticketOf(device));
      await once(client.socket, 'open');
      clients.push(client);
    }
    await until(() => (clients.filter(({ code }) => code === 4409).length === 12 ? true : null));
    await registered(clients.find(({ code }) => code === null) as Client);
    expect(clients.filter(({ code }) => code === null)).toHaveLength(8);
  });

  it('that does not read is closed with 4408', async () => {
    const device = await rig.device();
    const client = await connected(device);
    client.socket.pause();
    const names = Array.from({ length: 800 }, (_each, at) => `course:${'x'.repeat(110)}${at}`);
    for (const name of names) rig.projector.grant('t1', device.userId, name);
    await rig.ingest();
    hint({ users: [{ tenantId: 't1', userId: device.userId }] });
    // Until the kernel's buffers are full as well, some megabytes.
    await until(async () => {
      for (let at = 0; at < 10; at += 1) hint({ scopes: names.map((scope) => ({ tenantId: 't1', scope })) });
      return (await closedSlowly()) > 0 ? true : null;
    });
    // A slow client is given more time than others to come to the close frame.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    client.socket.resume();
    expect(await closeCode(client)).toBe(4408);
  });

  it('closes with 1012 when its replica stops, and says when to connect again', async () => {
    const other = await rig.addGateway();
    const clients: Client[] = [];
    for (let at = 0; at < 8; at += 1) clients.push(await connected(await rig.device(), other.url));
    rig.gateways.splice(rig.gateways.indexOf(other), 1);
    await other.stop();
    const pauses = new Set<number>();
    for (const client of clients) {
      expect(await closeCode(client)).toBe(1012);
      expect(client.reason).toMatch(/^retry-after-ms=\d+$/);
      pauses.add(Number(client.reason.split('=')[1]));
    }
    expect(pauses.size).toBeGreaterThan(1);
    expect(Math.max(...pauses)).toBeLessThan(1_000);
  });

  it('is still opened by a replica that stops while balancers have not noticed', async () => {
    const other = await rig.addGateway({ DRAIN_READINESS_MS: '4000' });
    const stopped = other.stop();
    const client = await connected(await rig.device(), other.url);
    rig.gateways.splice(rig.gateways.indexOf(other), 1);
    await stopped;
    expect(await closeCode(client)).toBe(1012);
  });

  it('is refused beyond the bound of the replica', async () => {
    const small = await rig.addGateway({ MAX_SOCKETS: '1' });
    await connected(await rig.device(), small.url);
    const refused = connect(await ticketOf(await rig.device()), small.url);
    const [error] = (await once(refused.socket, 'error')) as [Error];
    expect(error.message).toContain('503');
  });

  it('exists on no other path', async () => {
    const socket = new WebSocket(`${rig.url.replace('http', 'ws')}/sync/v1/elsewhere`);
    const [error] = (await once(socket, 'error')) as [Error];
    expect(error.message).toContain('404');
  });
});

/** Sockets that were closed because their clients do not read. */
async function closedSlowly(): Promise<number> {
  const metrics = await (await fetch(`${rig.gateway.opsUrl}/metrics`)).text();
  return Number(/^sync_slow_sockets_total\{[^}]*\} (\d+)/m.exec(metrics)?.[1] ?? 0);
}
