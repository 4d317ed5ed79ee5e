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
});
