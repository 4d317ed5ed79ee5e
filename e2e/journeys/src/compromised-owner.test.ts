import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { jetstream } from '@nats-io/jetstream';
import { errors, type NatsConnection, PermissionViolationError } from '@nats-io/transport-node';
import {
  bindLearnerDevice,
  changeOnServer,
  type LearnerDevice,
  type StackProcess,
  startStackProcess,
} from '@sync/e2e-device';
import { connectNats, request } from '@sync/messaging';
import { type EntityTypeRegistration, subjects } from '@sync/protocol';
import { eventually } from './testing/eventually.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
const ATTACKER = 'authoring';
const TENANT = `victim-${randomUUID().slice(0, 8)}`;
const USER = 'ada';
const NOW = new Date().toISOString();

/**
 * Somebody has taken over the service `authoring`, has its key, and knows all of this code. It may do to its own
 * entity type what it wants, and nothing to anything else.
 */
describe('a service that was taken over', () => {
  let stack: StackProcess;
  let nats: NatsConnection;
  let victim: LearnerDevice;
  let noteId: string;

  beforeAll(async () => {
    stack = await startStackProcess([], { SERVICE_RIGHTS_FILE: resolve(ROOT, 'infra/services.json') });
    const nkeySeed = stack.line.nkeySeeds[ATTACKER] ?? '';
    const url = `nats://${new URL(stack.line.nats).host}`;
    nats = await connectNats({ url, name: ATTACKER, identity: { service: ATTACKER, nkeySeed } });
    victim = await bindLearnerDevice(stack.line, TENANT, USER);
    noteId = `n-${randomUUID()}`;
    await changeOnServer(stack.line.learning, TENANT, 'note', noteId, { userId: USER, text: 'mine' });
    await untilVictimHas('mine');
  });
  afterAll(async () => {
    await victim.close();
    await nats.close();
    await stack.stop();
  });

  async function untilVictimHas(text: string): Promise<void> {
    const notes = await victim.client.entity('note').load();
    await eventually(`the victim has "${text}"`, () => notes.get(noteId)?.data['text'] === text);
  }

  async function ask(subject: string, body: unknown): Promise<string> {
    try {
      await request(nats, subject, body, { timeoutMs: 5_000 });
      return 'answered';
    } catch (error) {
      if (error instanceof errors.RequestError && error.cause instanceof PermissionViolationError)
        return 'refused';
      return (error as { code?: string }).code ?? String(error);
    }
  }

  /** What the server refuses comes later, to the connection: publications have no answer. */
  async function refusedOf(attempt: () => void): Promise<string[]> {
    const refused: string[] = [];
    const statuses = nats.status();
    void (async () => {
      for await (const status of statuses) {
        if (status.type === 'error' && status.error instanceof PermissionViolationError) {
          refused.push(`${status.error.operation} ${status.error.subject}`);
        }
      }
    })();
    attempt();
    await nats.flush();
    await nats.flush();
    return refused;
  }

  const typeOf = (entityType: string, more: Partial<EntityTypeRegistration> = {}): object => ({
    service: ATTACKER,
    entityTypes: [
      {
        ...{ entityType, schemaVersion: 1, policy: 'lww' },
        projection: { kind: 'declarative', fields: '*', scopes: ['course:{courseId}'] },
        ...more,
      },
    ],
  });

  it('registers no type of others, no new one, no grant, and not in another’s name', async () => {
    const grants = [{ scope: 'course:{courseId}', user: '{userId}' }];
    expect(await ask(subjects.registerAs(ATTACKER), typeOf('note'))).toBe('forbidden');
    expect(await ask(subjects.registerAs(ATTACKER), typeOf('conflict'))).toBe('forbidden');
    expect(await ask(subjects.registerAs(ATTACKER), typeOf('brand-new'))).toBe('forbidden');
    expect(await ask(subjects.registerAs(ATTACKER), typeOf('document', { grants }))).toBe('forbidden');
    const pointed = typeOf('document', { pushSubject: subjects.push('learning', 'note') });
    expect(await ask(subjects.registerAs(ATTACKER), pointed)).toBe('registration_invalid');
    const inAnothersName = { ...typeOf('note'), service: 'learning' };
    expect(await ask(subjects.registerAs(ATTACKER), inAnothersName)).toBe('forbidden');
    expect(await ask(subjects.registerAs('learning'), inAnothersName)).toBe('refused');
    expect(await ask(subjects.register, inAnothersName)).toBe('refused');
  });

  it('asks no service, no app and no store for what belongs to others', async () => {
    const { device } = victim.client.debug();
    const asked: readonly [string, unknown][] = [
      [subjects.push('learning', 'note'), { tenantId: TENANT, mutations: [] }],
      [subjects.snapshot('learning', 'note'), { after: null, limit: 100 }],
      [subjects.replay('learning'), { stream: 'DOMAIN_EVENTS', partition: 0, epoch: '', after: 0 }],
      [subjects.deviceBindingVerify, device],
      [subjects.conflicts, { tenantId: TENANT }],
      [subjects.conflictResolve, { tenantId: TENANT }],
      [subjects.explain, { tenantId: TENANT }],
      [subjects.deletedData, { tenantId: TENANT }],
      [subjects.projectorRebuild, {}],
      [subjects.deadLetterReplay, { tenantId: TENANT }],
      [subjects.registryList, {}],
      [subjects.faults('learning'), { place: 'any' }],
      ['$JS.API.STREAM.MSG.GET.DOMAIN_EVENTS', { last_by_subj: 'sync.events.v1.0.learning' }],
      ['$JS.API.DIRECT.GET.DOMAIN_EVENTS.sync.events.v1.0.learning', null],
      ['$JS.API.STREAM.PURGE.DOMAIN_EVENTS', {}],
      ['$JS.API.STREAM.DELETE.DELTAS', {}],
      ['$JS.API.CONSUMER.DELETE.DELTAS.sync-gateway-0', {}],
      ['$JS.API.CONSUMER.CREATE.DOMAIN_EVENTS', { stream_name: 'DOMAIN_EVENTS', config: {} }],
      ['$JS.API.STREAM.CREATE.MINE', { name: 'MINE', subjects: ['sync.events.v1.>'] }],
    ];
    for (const [subject, body] of asked)
      expect([subject, await ask(subject, body)]).toEqual([subject, 'refused']);
  });

  it('hears nothing that is not for it', async () => {
    const wanted = [
      '>',
      '_INBOX.>',
      '_INBOX.sync-gateway.*',
      'sync.push.v1.*.*',
      subjects.push('learning', '*'),
    ];
    const others = [
      subjects.deviceBindingVerify,
      subjects.deviceBindingRevoked,
      subjects.gatewayHint,
      'sync.head.v1.>',
    ];
    const all = [...wanted, ...others, subjects.conflictShow, subjects.registerAs('*')];
    const refused = await refusedOf(() => {
      for (const subject of all) nats.subscribe(subject, { callback: () => undefined });
    });
    expect(refused.sort()).toEqual(all.map((subject) => `subscription ${subject}`).sort());
  });

  it('says nothing in the name of others', async () => {
    const notices = [
      subjects.deviceBindingRevoked,
      subjects.gatewayHint,
      subjects.registryChanged,
      subjects.relayHead('DOMAIN_EVENTS', 0, 'learning'),
      subjects.relayHead('DELTAS', 0, 'delta-projector'),
      subjects.relayKick('learning'),
      subjects.streamMessage('DOMAIN_EVENTS', 0, 'learning'),
      subjects.streamMessage('DELTAS', 0, 'delta-projector'),
      subjects.streamMessage('SYNC_EVENTS', 0, 'sync-gateway'),
      subjects.plainEvents('learning', 'note'),
    ];
    const body = { ...victim.client.debug().device, revokedAt: NOW };
    const refused = await refusedOf(() => {
      for (const subject of notices) nats.publish(subject, JSON.stringify(body));
    });
    expect(refused.sort()).toEqual(notices.map((subject) => `publish ${subject}`).sort());
  });

  it('changes no entity of others by events of its own, and nobody’s scopes', async () => {
    const event = (entitytype: string, entityid: string, data: object): string =>
      JSON.stringify({
        ...{
          specversion: '1.0',
          id: randomUUID(),
          source: '/services/authoring',
          type: `${entitytype}.changed`,
        },
        ...{ time: NOW, tenantid: TENANT, entitytype, entityid, revision: 1_000_000, data },
      });
    const enrollment = { userId: USER, courseId: 'stolen', status: 'active' };
    const forged = [
      event('note', noteId, { userId: USER, text: 'forged' }),
      event('enrollment', `e-${randomUUID()}`, enrollment),
      event('conflict', randomUUID(), { userId: USER }),
    ];
    for (const [index, text] of forged.entries()) {
      const entityType = ['note', 'enrollment', 'conflict'][index] ?? '';
      await jetstream(nats).publish(subjects.plainEvents(ATTACKER, entityType), text);
    }
    // What the owner says after that arrives, and the victim has nothing else.
    await changeOnServer(stack.line.learning, TENANT, 'note', noteId, { userId: USER, text: 'still mine' });
    await untilVictimHas('still mine');
    expect((await victim.scopes()).map(({ scope }) => scope)).toEqual([`user:${USER}`]);
  });

  it('leaves the others working', async () => {
    const note = { userId: USER, text: 'afterwards' };
    const write = await victim.client.entity('note').put(`n-${randomUUID()}`, note);
    expect(await write.wait('applied')).toMatchObject({ status: 'applied' });
  });
});
