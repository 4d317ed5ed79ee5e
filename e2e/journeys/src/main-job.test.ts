import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StackLine } from '@sync/e2e-device';
import { runMainJob } from '@sync/e2e-main-job';

describe('J-12 airplane mode, as npm start shows it', () => {
  it('ends with every mutation answered and both devices equal to the server', async () => {
    const urls = JSON.parse(process.env['STACK_JSON'] ?? '') as StackLine;
    const lines: string[] = [];
    await runMainJob({ urls, out: (line) => lines.push(line) });
    const report = lines.join('\n');
    expect(report).toContain('rejected');
    expect(report).toContain('equal');
    expect(report).not.toMatch(/DIFFERENT|NONE/);
  });

  it('was allowed everything that it asked of NATS, by the keys of its services', async () => {
    const { logDir, nkeySeeds } = JSON.parse(process.env['STACK_JSON'] ?? '') as StackLine;
    expect(Object.keys(nkeySeeds)).toContain('sync-gateway');
    expect(await readFile(join(logDir, 'nats.log'), 'utf8')).not.toContain('Violation');
  });
});
