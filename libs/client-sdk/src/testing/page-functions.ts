import type { DeviceTimes } from './device-work.ts';

/**
 * What the page of the browser tests can be told to do. Here and not beside it: what runs in browsers is
 * checked with the types of browsers, and the tests that call it with those of Node.
 */
export interface PageFunctions {
  /** Runs one law of the storage contract on IndexedDB, by its name. */
  runCheck(name: string): Promise<void>;
  /** The same with an encrypted store. */
  runEncryptedCheck(name: string): Promise<void>;
  /** @param tell the name of a global function that hears of each commit that was answered */
  writeUntilKilled(name: string, tell: string): Promise<void>;
  /** @returns how many commits are there; throws when one of those answered is not, or one in part */
  assertNothingLost(name: string, told: number): Promise<number>;
  /** Raises one counter so often, beginning again whenever another tab was first. */
  count(name: string, who: string, steps: number): Promise<void>;
  /** Commits two rows of a MiB each, until there is no room or there are so many. */
  fill(name: string, most: number): Promise<{ stored: number; failure: PageFailure | null }>;
  /** The keys of all documents. */
  rowsOf(name: string): Promise<string[]>;
  /** What the calls of an open store come to when a newer version of the app has lifted the database. */
  liftBehindItsBack(name: string): Promise<PageFailure[]>;
  /** A counter after the database was deleted under an open store, and after it was set again. */
  deleteBehindItsBack(name: string): Promise<number[]>;
  /** Opens a store and keeps it open; then raises a counter by one at each call, and answers it. */
  step(name: string): Promise<number>;
  keepStorage(): Promise<boolean>;
  benchmark(count: number, batch: number): Promise<{ floor: BenchTimes; store: BenchTimes }>;
  /** A device in this page that syncs for the first time, starts again, and writes. */
  benchmarkDevice(entities: number): Promise<BrowserDeviceTimes>;
}

/** An error does not cross from a page to Node with its fields. */
export interface PageFailure {
  readonly code: string;
  readonly message: string;
}

export interface BenchTimes {
  readonly writtenMs: number;
  readonly listedMs: number;
}

export interface BrowserDeviceTimes extends DeviceTimes {
  /** As many rows written by bare `idb`, in the same batches. */
  readonly floorMs: number;
}
