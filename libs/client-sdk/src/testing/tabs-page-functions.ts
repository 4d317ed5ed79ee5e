/** What a page, or a worker, of the browser tests of tabs can be told to do. See `page-functions.ts`. */
export interface TabsPageFunctions {
  /** Runs one law of the contract of tabs by Web Locks and BroadcastChannel, by its name. */
  runCheck(name: string): Promise<void>;
  /** Opens a client of the device in this store, and keeps it. */
  open(store: string): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
  /** @returns the id of the mutation, or the code of the error */
  put(entityId: string, value: unknown): Promise<string>;
  /** Waits until the last write was pulled. @returns the status of its outcome, or the code of the error */
  waitForLast(): Promise<string>;
  /** By id: the values as the app sees them. */
  seen(): Promise<Record<string, unknown>>;
  /** The state, and how much is pending. */
  status(): Promise<readonly [string, number]>;
  /** How many rows there are besides the marker of a revoked device. */
  rowsLeft(store: string): Promise<number>;
  /** Posts what no version knows. */
  postNonsense(): Promise<void>;
  registerWorker(): Promise<void>;
}
