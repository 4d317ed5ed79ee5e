import { randomUUID } from 'node:crypto';
import { boundUser } from './kit/platform.ts';

describe('suggestions', () => {
  it('are refused in a tenant that has none', async () => {
    const { device } = await boundUser();
    const answer = await device.send<{ code: string }>(`/sync/v1/conflicts/${randomUUID()}/suggestions`, {});
    expect([answer.status, answer.body.code]).toEqual([409, 'suggestions_disabled']);
  });
});
