import type { Seat, Tabs } from '../tabs/tabs.ts';
import { assertSame } from '../store-contract/assertions.ts';

/**
 * One law of the port `Tabs`. Plain code, because it runs in Jest as well as in browsers.
 *
 * @throws when an adapter breaks it
 */
export interface TabsCheck {
  readonly name: string;
  readonly run: (open: () => Tabs) => Promise<void>;
}

/** What every adapter of `Tabs` keeps. */
export const TABS_CONTRACT: readonly TabsCheck[] = [
  { name: 'one has the lead, and those in line have it in their order', run: inOrder },
  { name: 'who leaves, or lets go in the line, is passed over', run: passedOver },
  { name: 'who is robbed is told, and may stand in line again', run: robbed },
  { name: 'two that steal at once leave one with the lead', run: twoThieves },
  { name: 'messages reach all others under the name, in their order', run: messages },
  { name: 'nobody hears anything after leaving', run: afterLeaving },
  { name: 'nothing is called before join has returned', run: notBefore },
];

/** A seat and what it was told, in its order. */
interface Watched {
  readonly seat: Seat;
  readonly told: unknown[];
}

let names = 0;
/** One that no other check has. */
function newName(): string {
  names += 1;
  return `check ${names} ${Math.random()}`;
}

function sit(tabs: Tabs, name: string): Watched {
  const told: unknown[] = [];
  const seat = tabs.join(name, {
    heard: (message) => told.push(message),
    granted: () => told.push('granted'),
    robbed: () => told.push('robbed'),
    returned: () => undefined,
  });
  return { seat, told };
}

/** Whatever was to come has come: these are no timing goals, but how long something must not happen. */
const LONG_ENOUGH_MS = 100;
const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, LONG_ENOUGH_MS));

/** Waits as long as it takes; a test that it fails comes to its time-out. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 2));
}

const hasLead = ({ told }: Watched): boolean => told.at(-1) === 'granted';

async function inOrder(open: () => Tabs): Promise<void> {
  const name = newName();
  const seats = [sit(open(), name), sit(open(), name), sit(open(), name)] as const;
  for (const { seat } of seats) seat.standInLine();
  // Once is enough.
  seats[1].seat.standInLine();
  for (const [at, one] of seats.entries()) {
    await until(() => hasLead(one));
    await pause();
    assertSame(
      seats.map(({ told }) => told.length),
      seats.map((_one, n) => (n <= at ? 1 : 0)),
      `turn ${at}`,
    );
    one.seat.letGo();
  }
  for (const { seat } of seats) seat.leave();
}

async function passedOver(open: () => Tabs): Promise<void> {
  const name = newName();
  const [first, second, third, fourth] = [
    sit(open(), name),
    sit(open(), name),
    sit(open(), name),
    sit(open(), name),
  ];
  for (const { seat } of [first, second, third, fourth]) seat.standInLine();
  await until(() => hasLead(first));
  second.seat.leave();
  third.seat.letGo();
  first.seat.leave();
  await until(() => hasLead(fourth));
  assertSame([second.told, third.told], [[], []], 'those that were passed over');
  third.seat.standInLine();
  fourth.seat.leave();
  await until(() => hasLead(third));
  third.seat.leave();
}

async function robbed(open: () => Tabs): Promise<void> {
  const name = newName();
  const [holder, thief, waiting] = [sit(open(), name), sit(open(), name), sit(open(), name)];
  holder.seat.standInLine();
  await until(() => hasLead(holder));
  waiting.seat.standInLine();
  thief.seat.standInLine();
  thief.seat.steal();
  await until(() => hasLead(thief) && holder.told.at(-1) === 'robbed');
  holder.seat.standInLine();
  await pause();
  assertSame([holder.told, thief.told, waiting.told], [['granted', 'robbed'], ['granted'], []], 'after that');
  thief.seat.letGo();
  await until(() => hasLead(waiting));
  waiting.seat.letGo();
  await until(() => hasLead(holder));
  for (const { seat } of [holder, thief, waiting]) seat.leave();
}

async function twoThieves(open: () => Tabs): Promise<void> {
  const name = newName();
  const [holder, one, other] = [sit(open(), name), sit(open(), name), sit(open(), name)];
  holder.seat.standInLine();
  await until(() => hasLead(holder));
  one.seat.steal();
  other.seat.steal();
  await until(() => holder.told.at(-1) === 'robbed' && hasLead(other) !== hasLead(one));
  await pause();
  assertSame([one, other].filter(hasLead).length, 1, 'who has the lead');
  for (const { seat } of [holder, one, other]) seat.leave();
}

async function messages(open: () => Tabs): Promise<void> {
  const [name, another] = [newName(), newName()];
  const [sender, one, other] = [sit(open(), name), sit(open(), name), sit(open(), name)];
  const stranger = sit(open(), another);
  const posted = Array.from({ length: 50 }, (_each, n) => ({ n, list: ['a', null] }));
  for (const message of posted) sender.seat.post(message);
  await until(() => one.told.length === posted.length && other.told.length === posted.length);
  await pause();
  // As text: what was cloned may have come from another realm.
  const texts = [one.told, other.told, posted].map((list) => JSON.stringify(list));
  assertSame(texts.slice(0, 2), [texts[2], texts[2]], 'what was heard');
  assertSame([sender.told, stranger.told], [[], []], 'who is not meant');
  for (const { seat } of [sender, one, other, stranger]) seat.leave();
}

async function afterLeaving(open: () => Tabs): Promise<void> {
  const name = newName();
  const [one, other] = [sit(open(), name), sit(open(), name)];
  one.seat.standInLine();
  await until(() => hasLead(one));
  one.seat.leave();
  other.seat.steal();
  other.seat.post('hello');
  one.seat.post('hello');
  await until(() => hasLead(other));
  await pause();
  assertSame([one.told, other.told], [['granted'], ['granted']], 'what each was told');
  other.seat.leave();
}

async function notBefore(open: () => Tabs): Promise<void> {
  const name = newName();
  const first = sit(open(), name);
  first.seat.post('early');
  const second = sit(open(), name);
  assertSame(second.told, [], 'at once');
  first.seat.post('later');
  await until(() => second.told.length > 0);
  await pause();
  assertSame(second.told.at(-1), 'later', 'what came');
  for (const { seat } of [first, second]) seat.leave();
}
