import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CursorTokens, type CursorPosition } from './cursor-token.ts';

const tokens = new CursorTokens('a secret of some length');
const owner = { tenantId: 't1', userId: 'u1', deviceId: 'd1' };
const position: CursorPosition = {
  origin: 'main',
  epoch: 'e1',
  sequence: '42',
  floor: '0',
  generation: '1764000000000',
};

const decimal = fc.bigInt({ min: 0n, max: 9_223_372_036_854_775_807n }).map(String);
const anyPosition = fc.record({
  origin: fc.stringMatching(/^[a-z0-9-]{1,20}$/),
  epoch: fc.stringMatching(/^[A-Za-z0-9-]{1,40}$/),
  sequence: decimal,
  floor: decimal,
  generation: decimal,
});

describe('a cursor token', () => {
  it('brings back the position, 64 bits wide', () => {
    fc.assert(
      fc.property(anyPosition, (any) => {
        expect(tokens.read(owner, 'user:u1', tokens.mint(owner, 'user:u1', any))).toEqual(any);
      }),
    );
  });

  it('of a scope into which nothing was projected has no origin', () => {
    const empty = { origin: '', epoch: '0', sequence: '0', floor: '0', generation: '5' };
    expect(tokens.read(owner, 'user:u1', tokens.mint(owner, 'user:u1', empty))).toEqual(empty);
  });

  it('is a map of origins, so that a second region adds an entry', () => {
    const payload = tokens.mint(owner, 'user:u1', position).split('.')[0] ?? '';
    expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toEqual([
      { main: ['e1', '42'] },
      '1764000000000',
    ]);
  });

  it('is worth nothing to anybody else, for another scope or under another key', () => {
    const token = tokens.mint(owner, 'user:u1', position);
    expect(tokens.read({ ...owner, tenantId: 't2' }, 'user:u1', token)).toBeNull();
    expect(tokens.read({ ...owner, userId: 'u2' }, 'user:u1', token)).toBeNull();
    expect(tokens.read({ ...owner, deviceId: 'd2' }, 'user:u1', token)).toBeNull();
    expect(tokens.read(owner, 'user:u2', token)).toBeNull();
    expect(new CursorTokens('another secret, as long').read(owner, 'user:u1', token)).toBeNull();
  });

  it('is refused when any one character of it is another', () => {
    const token = tokens.mint(owner, 'user:u1', position);
    for (let at = 0; at < token.length; at += 1) {
      for (const other of ['A', 'B', 'x', '_', '.']) {
        const forged = token.slice(0, at) + other + token.slice(at + 1);
        if (forged !== token) expect(tokens.read(owner, 'user:u1', forged)).toBeNull();
      }
    }
  });

  it.each(['', '.', 'a.b', 'x'.repeat(3000), `${'a'.repeat(40)}.${'b'.repeat(22)}`, 'ü.ü'])(
    'is not %j',
    (text) => {
      expect(tokens.read(owner, 'user:u1', text)).toBeNull();
    },
  );

  it('needs a secret worth the name', () => {
    expect(() => new CursorTokens('short')).toThrow(RangeError);
  });
});
