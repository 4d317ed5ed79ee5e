type Subtle = typeof crypto.subtle;

/** A key of WebCrypto, written so that it is the same with the types of Node and with those of a browser. */
export type WebCryptoKey = Extract<Awaited<ReturnType<Subtle['generateKey']>>, { type: string }>;

/** Missing in React Native, and in a page that came by plain HTTP. */
export function webCrypto(): Subtle | null {
  return (globalThis as { readonly crypto?: { readonly subtle?: Subtle } }).crypto?.subtle ?? null;
}
