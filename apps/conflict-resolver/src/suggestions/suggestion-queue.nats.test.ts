import { randomUUID } from 'node:crypto';
import { answerJson, completion, takeTheirs } from './testing/ai-server.ts';
import { SETTINGS, SuggestionRig } from './testing/suggestion-rig.ts';

describe('making suggestions', () => {
  let rig: SuggestionRig;

  beforeAll(async () => {
    rig = await SuggestionRig.start();
  });
  beforeEach(() => rig.reset());
  afterAll(() => rig.stop());

  describe('budgets', () => {
    it('count what was billed in place of what was reserved', async () => {
      const { tenantId, conflictId } = await rig.enabled();
      let whileAsked = 0;
      rig.ai.behave = (response, seen) => {
        void rig.usageOf(tenantId).then(({ tokens }) => {
          whileAsked = tokens;
          takeTheirs(response, seen);
        });
      };
      await rig.askAndWait(tenantId, conflictId);
      expect(whileAsked).toBeGreaterThan(500 + 300);
      expect(await rig.usageOf(tenantId)).toMatchObject({ tokens: 350, costMicros: 400 });
    });

    it('end the day’s questions, however many come at once, and say how long to wait', async () => {
      const { tenantId } = await rig.enabled({ tokensPerDay: 3_000 });
      const conflicts = await Promise.all(Array.from({ length: 6 }, () => rig.openConflict({ tenantId })));
      rig.ai.behave = () => undefined;
      const replies = await Promise.all(conflicts.map(({ conflictId }) => rig.ask(tenantId, conflictId)));
      const refused = replies.filter((reply) => reply.kind === 'over_budget');
      expect(refused.length).toBeGreaterThan(2);
      expect(refused[0]?.retryAfterMs).toBeGreaterThan(0);
      expect(refused[0]?.retryAfterMs).toBeLessThanOrEqual(86_400_000);
      expect((await rig.usageOf(tenantId)).tokens).toBeLessThanOrEqual(3_000);
    });

    it('hold for money as for tokens', async () => {
      const { tenantId, conflictId } = await rig.enabled({ costPerDayMicros: 1_200 });
      expect(await rig.ask(tenantId, conflictId)).toMatchObject({ kind: 'over_budget' });
      await rig.put(tenantId, { ...SETTINGS, costPerDayMicros: 10_000 });
      expect((await rig.askAndWait(tenantId, conflictId)).status).toBe('ready');
    });
  });

  describe('settings', () => {
    it('are off for a tenant that never had any, and come back as they were put', async () => {
      const tenantId = `t-${randomUUID()}`;
      expect(await rig.settingsOf(tenantId)).toMatchObject({
        settings: { enabled: false },
        endpoint: { model: 'asked' },
      });
      expect((await rig.put(tenantId, SETTINGS)).settings).toEqual(SETTINGS);
    });

    it('refuse a pattern that is none', async () => {
      await expect(rig.put('t1', { ...SETTINGS, redactPatterns: ['('] })).rejects.toMatchObject({
        code: 'schema_invalid',
      });
    });

    it('that change while a question waits hold for it', async () => {
      const { tenantId, conflictId } = await rig.enabled();
      await rig.restart({ ...rig.config, parallel: 0 });
      await rig.ask(tenantId, conflictId);
      await rig.put(tenantId, { ...SETTINGS, redactFields: ['note'] });
      await rig.restart();
      expect(await rig.finished(tenantId, conflictId)).toMatchObject({ code: 'redaction_changed' });
      expect(rig.ai.seen).toEqual([]);
      expect(await rig.usageOf(tenantId)).toMatchObject({ tokens: 0 });
    });
  });

  describe('the queue', () => {
    const dueNow = (tenantId: string): Promise<unknown> =>
      rig.test.database.call(
        'test_due_now',
        'UPDATE suggestion_job SET run_after = now() WHERE tenant = $1',
        [tenantId],
      );

    it('tries again what may pass, and gives up after three attempts', async () => {
      const { tenantId, conflictId } = await rig.enabled();
      let calls = 0;
      rig.ai.behave = (response) => {
        calls += 1;
        answerJson(response, {}, 503);
      };
      await rig.ask(tenantId, conflictId);
      while ((await rig.shown(tenantId, conflictId))[0]?.status === 'requested') await dueNow(tenantId);
      expect((await rig.shown(tenantId, conflictId))[0]).toMatchObject({
        status: 'failed',
        code: 'unavailable',
      });
      expect(calls).toBe(3);
      expect(await rig.usageOf(tenantId)).toMatchObject({ tokens: 0, costMicros: 0 });
    });

    it('goes on with what a stopped worker had in hand', async () => {
      const { tenantId, conflictId } = await rig.enabled();
      const hanging = new Promise<void>((resolve) => {
        rig.ai.behave = () => resolve();
      });
      await rig.ask(tenantId, conflictId);
      await hanging;
      rig.ai.behave = takeTheirs;
      await rig.restart();
      while ((await rig.shown(tenantId, conflictId))[0]?.status === 'requested') await dueNow(tenantId);
      expect((await rig.shown(tenantId, conflictId))[0]?.status).toBe('ready');
    });

    it('takes over from a worker that was killed, and what that one still answers is not stored', async () => {
      const { tenantId, conflictId } = await rig.enabled();
      const answerLate: (() => void)[] = [];
      rig.ai.behave = (response, seen) => {
        if (rig.ai.seen.length > 1) {
          takeTheirs(response, seen);
          return;
        }
        answerLate.push(() => answerJson(response, completion('late')));
      };
      await rig.ask(tenantId, conflictId);
      while (rig.ai.seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
      await rig.test.database.call('test_run_out', 'UPDATE suggestion_job SET claimed_until = now()', []);
      const made = await rig.finished(tenantId, conflictId);
      for (const late of answerLate) late();
      await rig.restart();
      expect(made.status).toBe('ready');
      expect(await rig.shown(tenantId, conflictId)).toEqual([made]);
      // Two attempts: the bill of the lost one is unknown, so that its reservation stays.
      expect((await rig.usageOf(tenantId)).tokens).toBeGreaterThan(350 + 500);
    });

    it('asks nobody when the conflict was resolved meanwhile', async () => {
      const { tenantId, conflictId } = await rig.enabled();
      await rig.restart({ ...rig.config, parallel: 0 });
      await rig.ask(tenantId, conflictId);
      await rig.dismiss(tenantId, conflictId);
      await rig.restart();
      const waiting = () =>
        rig.test.database.call<{ n: number }>(
          'test_jobs',
          'SELECT count(*)::int4 AS n FROM suggestion_job',
          [],
        );
      while ((await waiting())[0]?.n !== 0) await dueNow(tenantId);
      expect(rig.ai.seen).toEqual([]);
    });
  });

  it('has none at all without an endpoint, and lets nobody switch them on', async () => {
    const { tenantId, conflictId } = await rig.enabled();
    await rig.restart(null);
    await expect(rig.ask(tenantId, conflictId)).rejects.toMatchObject({ code: 'suggestions_disabled' });
    await expect(rig.put(tenantId, SETTINGS)).rejects.toMatchObject({ code: 'suggestions_disabled' });
    await rig.restart();
    expect(rig.ai.seen).toEqual([]);
  });
});
