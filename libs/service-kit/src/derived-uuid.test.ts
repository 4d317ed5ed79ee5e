import { derivedUuid } from './derived-uuid.ts';

describe('derivedUuid', () => {
  it('is the same for the same text, of version 8 and the variant of RFC 9562', () => {
    const pattern = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
    const texts = Array.from({ length: 100 }, (_, n) => `text ${n}`);
    const ids = texts.map(derivedUuid);
    for (const id of ids) expect(id).toMatch(pattern);
    expect(new Set(ids).size).toBe(100);
    expect(texts.map(derivedUuid)).toEqual(ids);
  });
});
