import { describe, expect, it } from '@jest/globals';
import { STREAMS } from './streams.ts';
import { subjects } from './subjects.ts';

/** Subjects are contract: what other languages and permission files spell out stands here in full. */
const SPELLED_OUT: Readonly<Record<string, string>> = {
  [subjects.streamMessage('DOMAIN_EVENTS', 3, 'learning')]: 'sync.events.v1.3.learning',
  [subjects.streamMessage('DELTAS', 0, 'delta-projector')]: 'sync.deltas.v1.0.delta-projector',
  [subjects.streamMessage('SYNC_EVENTS', 1, 'sync-gateway')]: 'analytics.sync.v1.1.sync-gateway',
  [subjects.plainEvents('learning', 'note')]: 'sync.events.v1.plain.learning.note',
  [subjects.push('learning', 'note')]: 'sync.push.v1.learning.note',
  [subjects.snapshot('learning', 'note')]: 'sync.snapshot.v1.learning.note',
  [subjects.upcast('learning', 'note')]: 'sync.upcast.v1.learning.note',
  [subjects.relayHead('DELTAS', 2, 'p')]: 'sync.head.v1.DELTAS.2.p',
  [subjects.relayHeads('DELTAS')]: 'sync.head.v1.DELTAS.>',
  [subjects.replay('learning')]: 'sync.replay.v1.learning',
  [subjects.relayKick('learning')]: 'sync.kick.v1.learning',
  [subjects.storeProbe]: 'sync.probe.v1.store',
  [subjects.registerAs('learning')]: 'sync.registry.v1.register.learning',
  [subjects.register]: 'sync.registry.v1.register',
  [subjects.deviceBindingVerify]: 'identity.device-binding.v1.verify',
  [subjects.deviceBindingRevoked]: 'identity.device-binding.v1.revoked',
};

describe('subjects', () => {
  it.each(Object.entries(SPELLED_OUT))('%s', (built, spelledOut) => {
    expect(built).toBe(spelledOut);
  });

  it('differ from each other and carry a version', () => {
    const fixed = Object.values(subjects).filter((subject) => typeof subject === 'string');
    expect(new Set(fixed).size).toBe(fixed.length);
    for (const subject of fixed) expect(subject).toMatch(/^[a-z-]+\.[a-z-]+\.v1\.[a-z-]+$/);
  });

  it('of requests lie outside every stream, which would otherwise answer and store them', () => {
    const prefixes = Object.values(STREAMS).map(({ subjectPrefix }) => `${subjectPrefix}.`);
    const requests = [
      ...Object.values(subjects).filter((subject) => typeof subject === 'string'),
      subjects.push('s', 't'),
      subjects.snapshot('s', 't'),
      subjects.upcast('s', 't'),
      subjects.replay('p'),
      subjects.relayHead('DELTAS', 0, 'p'),
      subjects.relayKick('p'),
    ];
    expect(requests.filter((subject) => prefixes.some((prefix) => subject.startsWith(prefix)))).toEqual([]);
  });
});

describe('STREAMS', () => {
  it.each(Object.entries(STREAMS))('%s is named as its key and bounded', (name, stream) => {
    expect(stream.name).toBe(name);
    expect(stream.partitions).toBeGreaterThan(0);
    expect(stream.maxBytes).toBeGreaterThan(0);
    expect(stream.maxAgeHours).toBeGreaterThan(0);
    expect(stream.consumers).not.toEqual([]);
  });

  it('do not overlap', () => {
    const prefixes = Object.values(STREAMS).map(({ subjectPrefix }) => `${subjectPrefix}.`);
    const overlaps = prefixes.filter((a) => prefixes.some((b) => a !== b && b.startsWith(a)));
    expect(overlaps).toEqual([]);
  });

  it('the firehose is what analytics subscribes to', () => {
    expect(STREAMS.SYNC_EVENTS.subjectPrefix).toMatch(/^analytics\.sync\./);
  });
});
