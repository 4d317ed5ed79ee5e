import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { Client } from 'pg';
import { GatewayRig } from '../testing/gateway-rig.ts';
import { until } from '../testing/until.ts';
import type { AuditDraft } from './audit-entry.ts';
import { appendEntries } from './audit-store.ts';

const READ_MS = 500;
const LATE = 'No answer in time; it may be carried out all the same';

let rig: GatewayRig;
beforeAll(async () => {
  rig = await GatewayRig.start({ ANSWER_READ_MS: String(READ_MS), REQUEST_LIMIT_MS: '700' });
  const line: AuditDraft = {
    at: new Date().toISOString(),
    actor: { kind: 'service', service: 's1' },
    ...{ operation: 'registerService', target: 'registrations/s1', requestId: null },
    ...{ outcome: 'done', code: null, attempt: null, count: 1 },
    detail: { text: 'x'.repeat(3_500) },
  };
  const lines = Array.from({ length: 2_000 }, () => line);
  for (let part = 0; part < 2; part += 1) {
    await rig.test.database.inTenant('long', (tx) => appendEntries(tx, 'long', lines));
  }
});
afterAll(() => rig.stop());

async function startExport(
  tenantId: string,
  { signal = null, url = rig.url }: { readonly signal?: AbortSignal | null; readonly url?: string } = {},
): Promise<Response> {
  const token = await rig.identity.token(tenantId, 'reader', { roles: ['sync-viewer'] });
  const headers = { authorization: `Bearer ${token}` };
  return fetch(new URL('/admin/v1/audit/export', url), { headers, signal });
}

/** Reads on after each pause. @returns the last line, once the answer ends; 'cut off' where it breaks off */
async function readSlowly(answer: Response, pauseMs: number): Promise<string> {
  let rest = '';
  try {
    for await (const bytes of answer.body ?? []) {
      rest = (rest + Buffer.from(bytes).toString()).slice(-500);
      await pause(pauseMs);
    }
  } catch {
    return 'cut off';
  }
  return rest.trimEnd().split('\n').at(-1) ?? '';
}

it('goes on as long as its reader reads', async () => {
  const startedAtMs = performance.now();
  expect(await readSlowly(await startExport('long'), 10)).toMatch(/^\{"end":\{"position":"4000"/);
  // Else it was too short to show anything.
  expect(performance.now() - startedAtMs).toBeGreaterThan(2 * READ_MS);
});

it('of one tenant leaves room for those of others', async () => {
  // With the usual limits: short ones would end the two, or refuse the others, on a busy machine.
  const { url } = await rig.addGateway();
  const leaving = new AbortController();
  const start = (): Promise<Response> => startExport('long', { url, signal: leaving.signal });
  // Too long for the buffers between, so they run for as long as nobody reads them.
  const running = await Promise.all([start(), start()]);
  const third = await startExport('long', { url });
  const other = await startExport('other', { url });
  expect([third.status, Number(third.headers.get('retry-after')) > 0, other.status]).toEqual([
    503,
    true,
    200,
  ]);
  leaving.abort();
  const ends = running.map((answer) => readSlowly(answer, 0));
  expect(await Promise.all(ends)).toEqual(['cut off', 'cut off']);
  for (const answer of [third, other]) await answer.body?.cancel();
  await until(
    async () => (await readSlowly(await startExport('long', { url }), 0)).startsWith('{"end"') || null,
  );
});

it('that is ready too late is not counted as running', async () => {
  const owner = new Client({ connectionString: rig.test.ownerUrl });
  await owner.connect();
  for (let turn = 0; turn < 2; turn += 1) {
    await owner.query('BEGIN; LOCK TABLE audit_entry IN ACCESS EXCLUSIVE MODE');
    const late = await startExport('late');
    await owner.query('COMMIT');
    expect([late.status, ((await late.json()) as { detail: string }).detail]).toEqual([503, LATE]);
  }
  await owner.end();
  await until(async () => (await startExport('late')).status === 200 || null);
});
