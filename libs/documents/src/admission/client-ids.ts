/** Who may write under a clientID. */
export type AuthorKind = 'device' | 'server' | 'suggestion';

/**
 * ClientIDs by who writes under them. Yjs draws a device's at random below 2^32; the other two ranges lie
 * beyond, where no device's lands by chance, so that a document shows for ever which words a server or an
 * accepted suggestion wrote. Beyond 2^34 nobody writes.
 */
export const CLIENT_ID_RANGES: Readonly<Record<AuthorKind, { readonly from: number; readonly to: number }>> =
  {
    device: { from: 0, to: 2 ** 32 },
    server: { from: 2 ** 32, to: 2 ** 33 },
    suggestion: { from: 2 ** 33, to: 2 ** 34 },
  };

/** Who wrote under a clientID; null for one that nobody may have. */
export function authorKindOf(clientId: number): AuthorKind | null {
  for (const [kind, { from, to }] of Object.entries(CLIENT_ID_RANGES) as [
    AuthorKind,
    { from: number; to: number },
  ][]) {
    if (clientId >= from && clientId < to) return kind;
  }
  return null;
}

/**
 * A fresh clientID of the server or of an accepted suggestion. A clientID is used by one writer once: two
 * that share one diverge with equal state vectors.
 * @param random of [0, 1), such as Math.random
 */
export function drawClientId(kind: AuthorKind, random: () => number): number {
  const { from, to } = CLIENT_ID_RANGES[kind];
  return from + Math.floor(random() * (to - from));
}
