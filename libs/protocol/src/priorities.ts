/**
 * What is refused first while the server has too much to do: the last of these, then the one before it.
 *
 * `delivery`: what devices need to see changes and to have them off their hands. `push`: what people have
 * done; devices keep it meanwhile. `resync`: a scope from its beginning, and lists for people. `admin`:
 * everything under `/admin/v1/`.
 */
export const PRIORITIES = ['delivery', 'push', 'resync', 'admin'] as const;

export type Priority = (typeof PRIORITIES)[number];
