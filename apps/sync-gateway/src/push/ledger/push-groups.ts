/** What goes through one call of `push_receive_together` or `push_complete_together`, at the most. */
const GROUP = { pushes: 32, mutations: 200, length: 512 * 1024 } as const;

/** Between the texts of two pushes: the record separator of RFC 7464, which no JSON text contains. */
export const PUSH_SEPARATOR = '\x1e';

/** What a push brings; `length` of its texts. */
export type PushSize = Readonly<Record<'mutations' | 'length', number>>;

/** Whether a push may go with those before it. */
export function fitsTogether<T>(sizeOf: (push: T) => PushSize) {
  return (before: readonly T[], next: T): boolean => {
    const sizes = [...before, next].map(sizeOf);
    const sumOf = (key: keyof PushSize): number => sizes.reduce((sum, size) => sum + size[key], 0);
    return (
      sizes.length <= GROUP.pushes && sumOf('mutations') <= GROUP.mutations && sumOf('length') <= GROUP.length
    );
  };
}
