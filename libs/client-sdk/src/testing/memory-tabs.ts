import type { Seat, TabEvents, Tabs } from '../tabs/tabs.ts';

/** Tabs of one origin in memory, for tests: one line for each name, and a way to each seat. */
export class TabsHub {
  /** By name; whoever stands first has the lead. */
  readonly #lines = new Map<string, HubSeat[]>();
  readonly #seats = new Set<HubSeat>();

  /** One more tab. */
  open(): HubTabs {
    return new HubTabs(this);
  }

  add(seat: HubSeat): void {
    this.#seats.add(seat);
  }

  remove(seat: HubSeat): void {
    this.letGo(seat);
    this.#seats.delete(seat);
  }

  post(from: HubSeat, message: unknown): void {
    for (const seat of this.#seats) {
      const copy = structuredClone(message);
      if (seat !== from && seat.name === from.name) seat.deliver(({ heard }) => heard(copy));
    }
  }

  standInLine(seat: HubSeat): void {
    const line = this.#lineOf(seat);
    if (line.includes(seat)) return;
    line.push(seat);
    if (line[0] === seat) seat.deliver(({ granted }) => granted());
  }

  steal(seat: HubSeat): void {
    const line = this.#lineOf(seat).filter((each) => each !== seat);
    const robbed = line.shift();
    this.#lines.set(seat.name, [seat, ...line]);
    robbed?.deliver((events) => events.robbed());
    seat.deliver(({ granted }) => granted());
  }

  letGo(seat: HubSeat): void {
    const line = this.#lineOf(seat);
    const hadLead = line[0] === seat;
    const left = line.filter((each) => each !== seat);
    this.#lines.set(seat.name, left);
    if (hadLead) left[0]?.deliver(({ granted }) => granted());
  }

  #lineOf({ name }: HubSeat): HubSeat[] {
    const line = this.#lines.get(name) ?? [];
    this.#lines.set(name, line);
    return line;
  }
}

/** One tab, that can be frozen, and killed. */
export class HubTabs implements Tabs {
  readonly #hub: TabsHub;
  readonly #seats = new Set<HubSeat>();
  readonly #held: (() => void)[] = [];
  #isFrozen = false;
  #isDead = false;

  constructor(hub: TabsHub) {
    this.#hub = hub;
  }

  join(name: string, events: TabEvents): Seat {
    const seat = new HubSeat(name, this.#hub, (call) => this.#later(() => call(events)));
    this.#hub.add(seat);
    this.#seats.add(seat);
    return seat;
  }

  /** What comes waits. It keeps the lead that it has. */
  freeze(): void {
    this.#isFrozen = true;
  }

  thaw(): void {
    this.#isFrozen = false;
    for (const call of this.#held.splice(0)) this.#later(call);
  }

  /** As if its process was killed: the lead goes on to the next in line. */
  kill(): void {
    this.#isDead = true;
    for (const seat of this.#seats) seat.leave();
  }

  #later(call: () => void): void {
    void Promise.resolve().then(() => {
      if (this.#isDead) return;
      if (this.#isFrozen) this.#held.push(call);
      else call();
    });
  }
}

class HubSeat implements Seat {
  readonly name: string;
  readonly #hub: TabsHub;
  readonly #deliver: (call: (events: TabEvents) => void) => void;
  #isLeft = false;

  constructor(name: string, hub: TabsHub, deliver: (call: (events: TabEvents) => void) => void) {
    this.name = name;
    this.#hub = hub;
    this.#deliver = deliver;
  }

  deliver(call: (events: TabEvents) => void): void {
    this.#deliver((events) => {
      if (!this.#isLeft) call(events);
    });
  }

  post(message: unknown): void {
    if (!this.#isLeft) this.#hub.post(this, message);
  }

  standInLine(): void {
    if (!this.#isLeft) this.#hub.standInLine(this);
  }

  steal(): void {
    if (!this.#isLeft) this.#hub.steal(this);
  }

  letGo(): void {
    this.#hub.letGo(this);
  }

  leave(): void {
    this.#isLeft = true;
    this.#hub.remove(this);
  }
}
