/**
 * Takes from Node what Hermes and React Native do not have, or not in all versions that are in use. Loaded by
 * `node --import` before the app.
 */
const MISSING: readonly (readonly [owner: object, names: readonly string[]])[] = [
  [globalThis, ['crypto', 'TextDecoder', 'structuredClone', 'BroadcastChannel', 'navigator', 'indexedDB']],
  [globalThis, ['CompressionStream', 'DecompressionStream']],
  [Promise, ['withResolvers', 'try']],
  [Object, ['groupBy']],
  [Map, ['groupBy']],
  [Array, ['fromAsync']],
  [Set.prototype, ['union', 'difference', 'intersection', 'isSubsetOf', 'isSupersetOf', 'isDisjointFrom']],
  [AbortSignal, ['any', 'timeout']],
  [AbortSignal.prototype, ['throwIfAborted']],
];
// The fetch of Node needs some of it when it is loaded, which is when it is first called.
const fetchWithStreams = globalThis.fetch;
await (await fetchWithStreams('data:,')).text();
for (const [owner, names] of MISSING) for (const name of names) Reflect.deleteProperty(owner, name);

// React Native has an answer only when all of it is there, and no stream of it.
globalThis.fetch = async (...request) => {
  const response = await fetchWithStreams(...request);
  const { status, ok, headers, url } = response;
  const text = await response.text();
  return { status, ok, headers, url, text: async () => text } as Response;
};
