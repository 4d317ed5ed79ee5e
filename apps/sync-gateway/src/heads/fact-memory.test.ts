import { describe, expect, it } from '@jest/globals';
import { FactMemory } from './fact-memory.ts';

describe('a memory of facts', () => {
  it('keeps what was read and nothing that was forgotten since', () => {
    const memory = new FactMemory<string>(10);
    memory.remember('a', 'one', memory.turn, 0);
    expect(memory.find('a', 1)).toBe('one');
    memory.forget('a', 2);
    expect(memory.find('a', 3)).toBeUndefined();
  });

  it('refuses a read that began before its key was forgotten, or a key it depends on', () => {
    const memory = new FactMemory<string>(10);
    const turn = memory.turn;
    memory.forget('a', 0);
    memory.forget('user', 0);
    memory.remember('a', 'old', turn, 1);
    memory.remember('b', 'old', turn, 1, 'user');
    memory.remember('c', 'fine', turn, 1, 'other');
    expect(['a', 'b', 'c'].map((key) => memory.find(key, 2))).toEqual([undefined, undefined, 'fine']);
    memory.remember('a', 'new', memory.turn, 2);
    expect(memory.find('a', 3)).toBe('new');
  });

  it('refuses every read that began before everything was forgotten', () => {
    const memory = new FactMemory<string>(10);
    const turn = memory.turn;
    memory.forgetAll();
    memory.remember('a', 'old', turn, 0);
    expect(memory.size).toBe(0);
  });

  it('takes no more than its bound, but renews what it has', () => {
    const memory = new FactMemory<string>(2);
    for (const key of ['a', 'b', 'c']) memory.remember(key, 'one', memory.turn, 0);
    memory.remember('a', 'two', memory.turn, 0);
    expect(['a', 'b', 'c'].map((key) => memory.find(key, 1))).toEqual(['two', 'one', undefined]);
  });

  it('forgets everything rather than lose count of what it forgot', () => {
    const memory = new FactMemory<string>(2);
    const turn = memory.turn;
    memory.remember('kept', 'one', turn, 0);
    for (const key of ['a', 'b', 'c']) memory.forget(key, 0);
    memory.remember('a', 'old', turn, 1);
    expect(memory.size).toBe(0);
  });

  it('drops what nobody asked for', () => {
    const memory = new FactMemory<string>(10);
    memory.remember('used', 'one', memory.turn, 0);
    memory.remember('unused', 'one', memory.turn, 0);
    memory.find('used', 50);
    memory.dropUnused(10, 60);
    expect([memory.has('used'), memory.has('unused')]).toEqual([true, false]);
  });
});
