import { attackPlatform } from './hostile/attack-platform.ts';

const REQUESTS = 5_000;
const MIB = 1024 * 1024;

describe('hostile requests', () => {
  it('are all answered, fail nothing, show nobody what is not theirs, and fill no memory', async () => {
    const { statuses, codes, growthBytes } = await attackPlatform(REQUESTS, 20261130);
    // It goes deep only if many requests get past the door.
    expect(statuses.get(200) ?? 0).toBeGreaterThan(REQUESTS / 10);
    expect([...codes]).toEqual(
      expect.arrayContaining([
        'schema_invalid',
        'malformed_json',
        'limit_exceeded',
        'unauthenticated',
        'forbidden',
      ]),
    );
    expect(growthBytes).toBeLessThan(150 * MIB);
  }, 300_000);
});
