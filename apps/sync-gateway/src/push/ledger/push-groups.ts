/** What goes through one call of `push_receive_together` or `push_complete_together`, at the most. */
export const GROUP = { pushes: 32, mutations: 200, length: 512 * 1024 } as const;

/** Between the texts of two pushes: the record separator of RFC 7464, which no JSON text contains. */
export const PUSH_SEPARATOR = '\x1e';
