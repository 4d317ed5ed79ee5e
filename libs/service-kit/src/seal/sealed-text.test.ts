import { createSecretKey, randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { masterKeysOf } from './key-service.ts';
import { dataKeyOf, openText, SealError, sealText } from './sealed-text.ts';

const KEY = createSecretKey(randomBytes(32));
const OWNER = ['device-key', 't1', 'u1', 'd1'];

describe('a sealed text', () => {
  it('opens with its key, for its owner, and is another one each time', () => {
    const sealed = sealText(7, KEY, OWNER, 'geheim ß');
    expect(sealed).toMatch(/^sealed:7:[A-Za-z0-9_-]+$/);
    expect(dataKeyOf(sealed)).toBe(7);
    expect(openText(KEY, OWNER, sealed)).toBe('geheim ß');
    expect(sealText(7, KEY, OWNER, 'geheim ß')).not.toBe(sealed);
    expect(sealed).not.toContain(Buffer.from('geheim ß').toString('base64url'));
  });

  it.each([
    ['another tenant', ['device-key', 't2', 'u1', 'd1']],
    ['another device', ['device-key', 't1', 'u1', 'd2']],
    ['another purpose', ['tag-key', 't1', 'u1', 'd1']],
    ['the same letters, cut elsewhere', ['device-key', 't1u', '1', 'd1']],
  ])('does not open for %s', (_whom, owner) => {
    expect(() => openText(KEY, owner, sealText(1, KEY, OWNER, 'x'))).toThrow(SealError);
  });

  it('does not open with another key, or after any character was changed or taken away', () => {
    const sealed = sealText(1, KEY, OWNER, 'secret');
    expect(() => openText(createSecretKey(randomBytes(32)), OWNER, sealed)).toThrow(SealError);
    const start = 'sealed:1:'.length;
    // The last character of base64url may have bits that say nothing.
    for (let at = start; at < sealed.length - 1; at += 1) {
      const other = sealed[at] === 'A' ? 'B' : 'A';
      const changed = `${sealed.slice(0, at)}${other}${sealed.slice(at + 1)}`;
      expect(() => openText(KEY, OWNER, changed)).toThrow(SealError);
      expect(() => openText(KEY, OWNER, sealed.slice(0, at))).toThrow(SealError);
    }
  });

  it('is told from one in clear by how it begins, and one that is neither is refused', () => {
    expect(dataKeyOf('AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=')).toBeNull();
    for (const stored of [
      'sealed:',
      'sealed:0:AAAA',
      'sealed:x:AAAA',
      'sealed:1:',
      'sealed:1:A A',
      'sealed:1:A==',
    ])
      expect(() => dataKeyOf(stored)).toThrow(SealError);
  });
});

describe('master keys', () => {
  const line = (name: string): string => `${name}:${randomBytes(32).toString('base64')}`;

  it('are read line by line, the newest first; none is null', () => {
    expect(masterKeysOf(`${line('k2')}\n${line('k1')}\n`)?.names).toEqual(['k2', 'k1']);
    expect(masterKeysOf('')).toBeNull();
    expect(masterKeysOf(' \n')).toBeNull();
  });

  it.each([
    ['a key that is too short', `k1:${randomBytes(31).toString('base64')}`],
    ['a key without a name', randomBytes(32).toString('base64')],
    ['a key in hexadecimal', `k1:${randomBytes(32).toString('hex')}`],
  ])('are refused with %s, and the key is not shown', (_what, bad) => {
    expect(() => masterKeysOf(`${line('k2')} ${bad}`)).toThrow(/^MASTER_KEYS: entry 2 is not name:key/);
    const attempt = (): unknown => masterKeysOf(bad);
    expect(attempt).not.toThrow(bad.split(':').at(-1));
  });

  it('are refused when two have one name', () => {
    expect(() => masterKeysOf(`${line('k1')}\n${line('k1')}`)).toThrow('two keys are called k1');
  });

  it('unwrap for the data key that was wrapped, and for no other', async () => {
    const service = masterKeysOf(`${line('k2')} ${line('k1')}`);
    const dataKey = randomBytes(32);
    const wrapped = (await service?.wrap('k1', 1, dataKey)) ?? '';
    expect(await service?.unwrap('k1', 1, wrapped)).toEqual(dataKey);
    await expect(service?.unwrap('k1', 2, wrapped)).rejects.toThrow(SealError);
    await expect(service?.unwrap('k2', 1, wrapped)).rejects.toThrow(SealError);
    await expect(service?.unwrap('k0', 1, wrapped)).rejects.toThrow('There is no master key k0');
  });
});
