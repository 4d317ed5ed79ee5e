import { describe, expect, it } from '@jest/globals';
import { REPEATABLES } from './schema.ts';

describe('the names by which databases remember SQL functions', () => {
  it('are capability and file, whatever folder of the capability the file has moved to', () => {
    const names = REPEATABLES.map(({ name }) => name);
    for (const name of names) expect(name).toMatch(/^[a-z]+\/[a-z-]+\.sql$/);
    expect(names).toEqual(expect.arrayContaining(['push/push-receive.sql', 'ingest/ingest-deltas.sql']));
  });

  it('are told apart: two under one name would install each other anew at every start', () => {
    expect(new Set(REPEATABLES.map(({ name }) => name)).size).toBe(REPEATABLES.length);
  });
});
