import { ProblemError } from '@sync/service-kit';
import type { DeviceBinding, DeviceBindings, DeviceKey } from '../../access/device-bindings.ts';
import { isTaggedWith } from '../../access/tag-keys.ts';
import { splitTag, type TaggedPayload } from './canonical-payload.ts';

/** What the tag of a mutation says. */
export type TagVerdict =
  /** It has none. */
  | 'absent'
  /** Its device made it, and it was not changed since. */
  | 'valid'
  /** It was changed, or the tag is not this device's. */
  | 'wrong'
  /** The device is bound no longer, and the identity service has no key of it. */
  | 'unverifiable'
  /** The identity service does not answer, and without it nobody can tell. */
  | 'unknown';

/**
 * Verifies the tags of mutations: when they come, and again before what has waited goes to its owner.
 *
 * A tag that fits a remembered key is good without asking anybody. Only where none fits is the identity
 * service asked again: the device may have a newer key than is remembered here.
 */
export class VerifyTags {
  readonly #bindings: Pick<DeviceBindings, 'find' | 'askAgain'>;

  constructor(bindings: Pick<DeviceBindings, 'find' | 'askAgain'>) {
    this.#bindings = bindings;
  }

  /**
   * @param device of which all of them are said to be
   * @param payloads of `canonicalPayload`, or as the ledger has them; null for what has none
   * @returns a verdict for each
   */
  async verify(device: DeviceKey, payloads: readonly (string | null)[]): Promise<TagVerdict[]> {
    const tagged = payloads.map((payload) => (payload === null ? null : splitTag(payload)));
    if (tagged.every((one) => one === null)) return tagged.map(() => 'absent');
    const known = await answered(this.#bindings.find(device));
    const verdicts = tagged.map((one) => verdictOf(one, known));
    if (!known || verdicts.every((verdict) => verdict === 'absent' || verdict === 'valid')) return verdicts;
    const renewed = await answered(this.#bindings.askAgain(device));
    return verdicts.map((verdict, place) => {
      return verdict === 'valid' ? verdict : verdictOf(tagged[place] ?? null, renewed);
    });
  }
}

/** @param binding null: the identity service did not answer */
function verdictOf(tagged: TaggedPayload | null, binding: DeviceBinding | null): TagVerdict {
  if (!tagged) return 'absent';
  if (!binding) return 'unknown';
  if (isTaggedWith(binding.tagKeys, tagged.text, tagged.tag)) return 'valid';
  return binding.tagKeys.length === 0 ? 'unverifiable' : 'wrong';
}

async function answered(asking: Promise<DeviceBinding>): Promise<DeviceBinding | null> {
  try {
    return await asking;
  } catch (error) {
    if (error instanceof ProblemError && error.code === 'unavailable') return null;
    throw error;
  }
}
