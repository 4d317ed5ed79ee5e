import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { AckResponse } from '@sync/protocol';
import { platform } from '../kit/platform.ts';
import { onAnswers } from './change-answers.ts';
import { DistortingProxy } from './distorting-proxy.ts';

/** The command as anybody runs it. @returns its exit code and the report */
async function conformance(...args: readonly string[]): Promise<{ code: number; report: string }> {
  const child = spawn(process.execPath, ['--conditions=source', 'tools/conformance/main.ts', ...args], {
    cwd: resolve(import.meta.dirname, '../../../..'),
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let report = '';
  child.stdout.on('data', (chunk: Buffer) => (report += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number];
  return { code, report };
}

describe('npm run conformance', () => {
  it('tells of each rule whether it holds, and what it would need to know', async () => {
    const { gateway, identity } = platform();
    const urls = ['--gateway', gateway, '--identity', identity];
    const { code, report } = await conformance(...urls, '--only', 'ACK-1,ACK-4,PULL-14,CONFLICT-14');
    expect(report).toMatch(/✓ ACK-1 +holds/);
    expect(report).toMatch(/✓ ACK-4 +holds/);
    expect(report).toMatch(/– PULL-14 +not checked here: needs --learning URL/);
    expect(report).toMatch(/– CONFLICT-14 +no black-box check/);
    expect(code).toBe(0);
  }, 120_000);

  it('names the broken rule, and ends with 1', async () => {
    const { gateway, identity } = platform();
    const proxy = await DistortingProxy.start(
      gateway,
      onAnswers<AckResponse, unknown>('/sync/v1/ack', (body) => ({ ...body, cursors: [] })),
    );
    try {
      const urls = ['--gateway', proxy.url, '--identity', identity];
      const { code, report } = await conformance(...urls, '--only', 'ACK-1');
      expect(report).toMatch(/✗ ACK-1 +BROKEN/);
      expect(code).toBe(1);
    } finally {
      await proxy.stop();
    }
  }, 120_000);

  it('ends with 2 where there is nothing to check', async () => {
    const nobody = 'http://nobody.invalid';
    expect((await conformance('--gateway', nobody, '--identity', nobody)).code).toBe(2);
    const { gateway, identity } = platform();
    // Broken owning services stand behind no server that was named.
    const urls = ['--gateway', gateway, '--identity', identity];
    expect((await conformance(...urls, '--broken', '--only', 'OWNER-3')).code).toBe(2);
  }, 120_000);
});
