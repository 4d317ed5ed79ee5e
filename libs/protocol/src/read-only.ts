/**
 * `T` with every property and array read-only, at any depth. What came over the wire or goes there is a
 * value, not a workplace.
 */
export type ReadOnly<T> = T extends readonly (infer Item)[]
  ? readonly ReadOnly<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: ReadOnly<T[Key]> }
    : T;
