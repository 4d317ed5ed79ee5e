import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Breaking, runChecks } from '@sync/e2e-conformance';
import { startNats } from '@sync/messaging/testing';
import type { OwnerFile, OwnerTarget } from '../kit/owner-file.ts';
import { playPlatform } from '../kit/play-platform.ts';
import { OWNER_KIT } from '../owner-kit.ts';
import type { BrokenOwner } from './broken-owner.ts';
import { type OwnerDistortion, OwnerProxy } from './owner-proxy.ts';

const SERVICE = 'bookmarks';
const ENTITY_TYPE = 'bookmark';
const PROGRAM = join(import.meta.dirname, '../plain-owner/plain-owner.mjs');

/** What the checks have to know of the owning service without an SDK. */
const FILE: Omit<OwnerFile, 'nats'> = {
  service: SERVICE,
  entityTypes: {
    [ENTITY_TYPE]: {
      data: { userId: '{userId}', page: 'lesson-3#tacking', comment: 'again' },
      changed: { page: 'lesson-4' },
      invalid: { page: 42 },
      optional: 'comment',
    },
  },
};

/** An owning service without an SDK that keeps every rule, and may be broken on the way. */
export interface BreakableOwner extends Breaking<BrokenOwner> {
  readonly target: OwnerTarget;
  stop(): Promise<void>;
}

/** Starts NATS, the plain owner, and the part of the platform that it registers with. */
export async function startBreakableOwner(): Promise<BreakableOwner> {
  const server = await startNats({ own: true });
  const folder = await mkdtemp(join(tmpdir(), 'plain-owner-'));
  const child = spawn(process.execPath, ['--no-warnings', PROGRAM, server.url, join(folder, 'a.sqlite')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const ended = once(child, 'exit');
  const clean = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  };
  const played = await playPlatform({ ...FILE, nats: server.url }).catch(async (error: unknown) => {
    await clean();
    throw error;
  });
  const { target } = played;
  let started = 0;
  const check: BreakableOwner['check'] = async (broken, checks) => {
    started += 1;
    const service = `${SERVICE}-${started}`;
    // Where nothing is broken it numbers its messages, or the checks of numbers would have none.
    const distortion: OwnerDistortion = broken?.breaks() ?? { numbers: (place) => place };
    const names = { service, behind: SERVICE, entityType: ENTITY_TYPE };
    const proxy = await OwnerProxy.start(target.nats, names, distortion);
    try {
      const registration = { ...target.registration, service };
      const results = await runChecks(OWNER_KIT, { ...target, service, registration }, checks);
      return { results, distorted: proxy.distorted, errors: [...proxy.errors] };
    } finally {
      await proxy.stop();
    }
  };
  const stop = async (): Promise<void> => {
    await played.stop();
    await clean();
  };
  return { kit: OWNER_KIT, target, check, stop };
}
