import { execFile } from 'node:child_process';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { type OperationResult, result } from './result.ts';

/** Runs in a process of its own, compiled, as the gateway does. */
const PROGRAM = 'apps/sync-gateway/src/testing/measure-check.ts';

/** What it prints; milliseconds of a request. */
interface CheckCost {
  readonly checkMs: readonly number[];
  readonly floorMs: readonly number[];
  readonly cpuMs: number;
  readonly floorCpuMs: number;
  readonly readMs: number;
  readonly readUntaggedMs: number;
}

/**
 * push-check-20: what it costs the gateway to prove a push of 20 mutations with tags (token, binding, signature,
 * digest and tags, with warm caches), beside bare SHA-256 and HMAC over the same bytes.
 */
export async function measureCheck(): Promise<OperationResult> {
  const root = resolve(import.meta.dirname, '../..');
  const compiled = PROGRAM.replace('/src/', '/dist/').replace(/ts$/, 'js');
  const { stdout } = await promisify(execFile)(process.execPath, [join(root, compiled)], {
    maxBuffer: 16 * 1_048_576,
  });
  const cost = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as CheckCost;
  const samplesOf = (latenciesMs: readonly number[]): Parameters<typeof result>[2] => {
    return { latenciesMs, tookMs: latenciesMs.reduce((sum, one) => sum + one, 0) };
  };
  const measured = result('push-check-20', 1, samplesOf(cost.checkMs), samplesOf(cost.floorMs), {
    readUs: cost.readMs * 1000,
    readUntaggedUs: cost.readUntaggedMs * 1000,
  });
  return { ...measured, cpuMs: cost.cpuMs, floorCpuMs: cost.floorCpuMs };
}
