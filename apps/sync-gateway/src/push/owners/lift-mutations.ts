import { planUpcast, upcastData, type JsonObject, type Upcaster } from '@sync/domain';
import { absentText } from '../../read-model/entity-head.ts';
import {
  type Author,
  type PostponeReason,
  postponed,
  refused,
  type Settlement,
  type Work,
} from '../outcome/settlement.ts';
import type { AskUpcaster, UpcastResult } from './ask-upcaster.ts';

/** How far lifting may go; see SettleLimits. */
export interface LiftLimits {
  readonly deadlineMs: number;
  /** One request per mutation: one that breaks its upcaster must not take others with it. */
  readonly apart: boolean;
}

/** A work on its way to the registered version. */
interface Lifting {
  readonly place: number;
  readonly work: Work;
  readonly chain: readonly Upcaster[];
  data: JsonObject;
  end: Settlement | null;
}

/**
 * Lifts mutations that were written under an older schema version to the registered one, before anything is
 * decided about them: decisions, handlers and other devices only know the registered version. What the device
 * sent stays beside it, for records.
 *
 * An owner that is asked for a version and does not answer postpones its mutations and nothing else.
 */
export class LiftMutations {
  readonly #upcasters: AskUpcaster;

  constructor(upcasters: AskUpcaster) {
    this.#upcasters = upcasters;
  }

  /**
   * @param works admitted: each can be lifted, as far as the registration goes
   * @returns one per work in the same order, the same object where nothing had to be done
   */
  async lift(author: Author, works: readonly Work[], limits: LiftLimits): Promise<readonly Work[]> {
    const liftings = works.flatMap((work, place) => liftingOf(work, place) ?? []);
    if (liftings.length === 0) return works;
    // One version after the other; types, and the versions that its devices start from, side by side.
    const groups = [...Map.groupBy(liftings, ({ work }) => work.registration.entityType).values()];
    await Promise.all(groups.map((group) => this.#liftType(author, group, limits)));
    const lifted = [...works];
    for (const lifting of liftings) lifted[lifting.place] = workOf(lifting);
    return lifted;
  }

  async #liftType(author: Author, group: readonly Lifting[], limits: LiftLimits): Promise<void> {
    const { schemaVersion } = group[0]?.work.registration ?? { schemaVersion: 0 };
    const oldest = Math.min(...group.flatMap(({ chain }) => chain[0]?.from ?? []));
    for (let version = oldest; version < schemaVersion; version++) {
      const here = group.filter(({ chain, end }) => {
        return end === null && chain.some(({ from }) => from === version);
      });
      const upcaster = here[0]?.chain.find(({ from }) => from === version);
      if (!upcaster) continue;
      if ('steps' in upcaster) {
        for (const one of here) one.data = upcastData(one.data, one.work.mutation.op, upcaster.steps);
      } else {
        const parts = limits.apart ? here.map((one) => [one]) : [here];
        await Promise.all(parts.map((part) => this.#ask(author, part, upcaster, limits)));
      }
    }
  }

  async #ask(
    author: Author,
    part: readonly Lifting[],
    { from, subject }: Extract<Upcaster, { readonly subject: string }>,
    { deadlineMs }: LiftLimits,
  ): Promise<void> {
    const registration = part[0]?.work.registration;
    if (!registration) return;
    const { service, entityType } = registration;
    const { results, missing } = await this.#upcasters.ask(
      { service, subject, deadlineMs },
      {
        tenantId: author.tenantId,
        entityType,
        from,
        mutations: part.map(({ work: { mutation }, data }) => {
          return { mutationId: mutation.mutationId, op: mutation.op, data };
        }),
      },
    );
    for (const one of part) take(one, results.get(one.work.mutation.mutationId) ?? missing);
  }
}

function liftingOf(work: Work, place: number): Lifting[] | null {
  const { mutation, registration, hold, refuse } = work;
  const { schemaVersion: from } = mutation;
  if (from === undefined || from === registration.schemaVersion || hold || refuse) return null;
  const plan = planUpcast(registration.upcasters ?? [], from, registration.schemaVersion);
  // Not admitted then; whoever let it through has refused it.
  if (!plan.ok) return null;
  const carriesData = mutation.op !== 'delete' && mutation.op !== 'merge';
  const data = (mutation.data ?? {}) as JsonObject;
  return [{ place, work, chain: carriesData ? plan.chain : [], data, end: null }];
}

function take(lifting: Lifting, result: UpcastResult | PostponeReason): void {
  if (typeof result === 'string') {
    lifting.end = postponed(result);
  } else if ('data' in result) {
    lifting.data = result.data as JsonObject;
  } else {
    const { mutation, registration, head } = lifting.work;
    const current = head?.wire ?? absentText(mutation, registration.schemaVersion, new Date().toISOString());
    const message = result.message ?? `the data of version ${mutation.schemaVersion} cannot be lifted`;
    lifting.end = refused({ code: result.code, message }, current);
  }
}

function workOf({ work, chain, data, end }: Lifting): Work {
  if (end) return { ...work, hold: end };
  const { mutation, registration } = work;
  const lifted = { ...mutation, schemaVersion: registration.schemaVersion };
  if (chain.length === 0) return { ...work, mutation: lifted };
  return {
    ...work,
    mutation: { ...lifted, data },
    payloadBytes: Buffer.byteLength(JSON.stringify(data)),
    sentData: (mutation.data ?? null) as JsonObject | null,
  };
}
