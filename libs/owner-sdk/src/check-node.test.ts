import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { checkNode } from './check-node.ts';

describe('an owner', () => {
  it.each(['22.18.0', '22.19.1', '23.0.0', '24.21.0', process.versions.node])(
    'starts on Node %s',
    (version) => {
      expect(() => checkNode(version)).not.toThrow();
    },
  );

  it.each(['18.20.0', '20.20.2', '22.17.9'])('does not start on Node %s, and says why', (version) => {
    expect(() => checkNode(version)).toThrow(`@sync/owner-sdk needs Node 22.18 or newer; this is ${version}`);
  });

  it('needs the Node that its package.json asks for', async () => {
    const manifest = await readFile(join(import.meta.dirname, '../package.json'), 'utf8');
    expect(JSON.parse(manifest)).toMatchObject({ engines: { node: '>=22.18.0' } });
  });
});
