/**
 * How the clients of one store find each other: tabs and workers of a browser. One of them has the lead, all
 * hear each other. Every adapter passes `testing/tabs-contract.ts`; where clients cannot find each other,
 * {@link alone} gives each the lead.
 */
export interface Tabs {
  /**
   * Joins all that have joined under this name. Nothing of `events` is called before it has returned.
   * @param name of the device
   */
  join(name: string, events: TabEvents): Seat;
}

/** What a tab is told, from when it has joined until it leaves. */
export interface TabEvents {
  /** Another one has posted it; those of one sender come in their order. */
  readonly heard: (message: unknown) => void;
  /** This one has the lead. */
  readonly granted: () => void;
  /** Another one has taken the lead away. */
  readonly robbed: () => void;
  /** It was frozen or out of sight, and may have missed what others posted. */
  readonly returned: () => void;
}

/** A tab among those of its device: it talks to the others, and leads when it is its turn. */
export interface Seat {
  /** To all others. @param message what a structured clone can hold */
  post(message: unknown): void;
  /** For the lead: it is granted when everybody before has let go of it, or is gone. */
  standInLine(): void;
  /** Takes the lead from whoever has it. */
  steal(): void;
  /** Lets go of the lead, or of the place in the line. */
  letGo(): void;
  /** For good: nothing of `events` is called any more. */
  leave(): void;
}

/** One client for each store; two that use one all the same take turns. */
export const alone: Tabs = {
  join: (_name, { granted }) => {
    const nothing = (): void => undefined;
    return { post: nothing, standInLine: granted, steal: granted, letGo: nothing, leave: nothing };
  },
};
