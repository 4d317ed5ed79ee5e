import { deepEqualJson, type JsonValue } from '../json.ts';
import type { Upcaster, UpcastStep } from './upcaster.ts';

/** A place where a chain of upcasters contradicts itself. */
export interface UpcastFault {
  /** JSON Pointer into the list of upcasters. */
  readonly path: string;
  readonly message: string;
}

/**
 * What is wrong with a chain: two upcasters of one version, one of a version that needs none, a gap below the
 * registered version, steps that undo or do nothing. The oldest version that can be lifted is free to choose.
 * @param schemaVersion the registered version, which the last upcaster must reach
 */
export function checkUpcasters(upcasters: readonly Upcaster[], schemaVersion: number): UpcastFault[] {
  const versions = upcasters.map(({ from }) => from);
  const faults = upcasters.flatMap((upcaster, index): UpcastFault[] => {
    const { from } = upcaster;
    const path = `/${index}/from`;
    if (from >= schemaVersion) {
      return [{ path, message: `version ${from} needs no upcaster: ${schemaVersion} is registered` }];
    }
    if (versions.indexOf(from) < index) return [{ path, message: `version ${from} has an upcaster already` }];
    if (from + 1 < schemaVersion && !versions.includes(from + 1)) {
      return [
        { path, message: `lifts to ${from + 1}, and nothing lifts ${from + 1} on to ${schemaVersion}` },
      ];
    }
    if ('steps' in upcaster && 'subject' in upcaster) {
      return [{ path: `/${index}/subject`, message: 'either steps or a subject, not both' }];
    }
    return 'steps' in upcaster ? checkSteps(upcaster.steps, index) : [];
  });
  return faults;
}

function checkSteps(steps: readonly UpcastStep[], index: number): UpcastFault[] {
  return steps.flatMap((step, place): UpcastFault[] => {
    const path = `/${index}/steps/${place}`;
    switch (step.kind) {
      case 'rename':
        return step.field === step.to ? [{ path: `${path}/to`, message: 'renames a field to itself' }] : [];
      case 'move':
        return step.field.includes('.')
          ? []
          : [{ path: `${path}/field`, message: 'leads into no nested object: use rename' }];
      case 'replace': {
        const firstWith = (value: JsonValue) =>
          step.values.findIndex(({ from }) => deepEqualJson(from, value));
        const repeated = step.values.findIndex(({ from }, at) => firstWith(from) < at);
        return repeated < 0
          ? []
          : [{ path: `${path}/values/${repeated}/from`, message: 'is replaced by another value already' }];
      }
      case 'default':
      case 'remove':
        return [];
    }
  });
}
