import type { Distortion, Faults } from './distorting-proxy.ts';

/** What breaks one promise on purpose, and who has to find it out. */
export interface Broken {
  /** What it does wrong. */
  readonly fault: string;
  /** Of docs/protocol.md: the rule that is broken. */
  readonly rule: string;
  /** The check that has to fail, one of that rule: `file › title` in the folder of the kit. */
  readonly check: string;
  /** One of the few that every test run tries. */
  readonly isShort?: true;
}

/** A server that is broken on purpose. */
export interface BrokenServer extends Broken {
  /** Makes the proxy’s part anew, with a memory of its own. */
  readonly breaks: () => Distortion | Faults;
}
