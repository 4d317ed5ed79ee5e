/** Major and minor version that `engines` in package.json asks for. */
const OLDEST = [22, 18] as const;

/**
 * npm only warns of `engines`. On an older Node an owner would start, say that it is ready, and fail at its
 * first work.
 *
 * @param version as `process.versions.node` has it
 * @throws Error where that is older than this package is tested with
 */
export function checkNode(version = process.versions.node): void {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return;
  throw new Error(`@sync/owner-sdk needs Node ${OLDEST.join('.')} or newer; this is ${version}`);
}
