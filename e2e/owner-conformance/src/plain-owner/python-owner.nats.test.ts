import { nkeys } from '@nats-io/transport-node';
import { checkNames, runChecks } from '@sync/e2e-conformance';
import { startNats } from '@sync/messaging/testing';
import { playPlatform } from '../kit/play-platform.ts';
import { OWNER_KIT } from '../owner-kit.ts';
import { PYTHON_OWNER, startPythonOwner } from '../testing/start-python-owner.ts';

it('is kept to by an owning service in plain Python, which proves its nkey', async () => {
  const user = nkeys.createUser();
  const known = `{ nkey: ${user.getPublicKey()} }, { user: kit, password: kit }`;
  const server = await startNats({
    own: true,
    configuration: [`authorization { users: [${known}] }`],
    user: { user: 'kit', password: 'kit' },
  });
  const own = server.url.replace(/\/\/.*@/, '//');
  const owner = await startPythonOwner(own, new TextDecoder().decode(user.getSeed()));
  try {
    const played = await playPlatform({ ...PYTHON_OWNER, nats: server.url });
    const results = await runChecks(OWNER_KIT, played.target, await checkNames(OWNER_KIT));
    await played.stop();
    const failed = results.filter(({ status }) => status === 'failed');
    expect(failed.map(({ ran, why }) => `${ran}: ${why}`)).toEqual([]);
    expect(results.filter(({ status }) => status === 'passed').length).toBeGreaterThan(25);
  } finally {
    await owner.stop();
    await server.stop();
  }
}, 300_000);
