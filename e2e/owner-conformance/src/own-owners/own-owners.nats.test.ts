import { checkNames, runChecks } from '@sync/e2e-conformance';
import { startAuthoring, startLearning, startServiceRig } from '@sync/e2e-platform/owners';
import { startNats } from '@sync/messaging/testing';
import type { OwnerFile } from '../kit/owner-file.ts';
import { playPlatform } from '../kit/play-platform.ts';
import { OWNER_KIT } from '../owner-kit.ts';

const LEARNING: OwnerFile['entityTypes'] = {
  note: {
    data: { userId: '{userId}', text: 'tack early', colour: 'red' },
    changed: { text: 'tack late' },
    invalid: { text: 7 },
    optional: 'colour',
  },
  highlight: {
    data: { userId: '{userId}', courseId: 'c1', quote: 'Ahoy', firstPage: 3, lastPage: 5, colour: 'red' },
    changed: { lastPage: 6 },
    invalid: { firstPage: 0 },
    optional: 'colour',
    older: { from: 2, data: { userId: 'u1', courseId: 'c1', quote: 'Ahoy', pages: '3-5' } },
  },
  statement: {
    data: {
      id: '{entityId}',
      verb: { id: 'http://adlnet.gov/expapi/verbs/experienced' },
      object: { objectType: 'Activity', id: 'https://courses.example/c/{uuid}' },
      context: { registration: '{uuid}', platform: '{userId}' },
      timestamp: '2026-01-01T00:00:00.000Z',
    },
    invalid: { verb: 'saw' },
    scope: 'user:{userId}',
  },
};

const AUTHORING: OwnerFile['entityTypes'] = {
  document: {
    data: { courseId: '{uuid}', title: 'Knots' },
    changed: { title: 'Bends' },
    invalid: { title: 7 },
  },
};

it.each([
  // What is not checked: of records, what only entities can do that change; and what only some types have.
  ['learning', startLearning, LEARNING],
  ['authoring', startAuthoring, AUTHORING],
] as const)(
  'is kept to by %s',
  async (service, start, entityTypes) => {
    const server = await startNats({ own: true });
    const rig = await startServiceRig(service, start, Promise.resolve(server));
    try {
      const played = await playPlatform({ nats: server.url, service, entityTypes });
      const results = await runChecks(OWNER_KIT, played.target, await checkNames(OWNER_KIT));
      await played.stop();
      const failed = results.filter(({ status }) => status === 'failed');
      expect(failed.map(({ ran, why }) => `${ran}: ${why}`)).toEqual([]);
      expect(results.filter(({ status }) => status === 'passed').length).toBeGreaterThan(20);
    } finally {
      await rig.stop();
      await server.stop();
    }
  },
  300_000,
);
