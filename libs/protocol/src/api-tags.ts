/** A group of operations in a generated document. */
export interface ApiTag {
  readonly name: string;
  readonly description: string;
  /** What follows `/sync/v1/` or `/admin/v1/` in the paths of its operations. */
  readonly paths: readonly string[];
}

export const DEVICE_TAGS: readonly ApiTag[] = [
  {
    name: 'conflicts',
    description: 'What a person has to decide, and how it was decided.',
    paths: ['conflicts', 'resolve-conflict'],
  },
  { name: 'live', description: 'A socket that says when to pull.', paths: ['tickets', 'live'] },
  {
    name: 'sync',
    description: 'What a device repeats all the time: pull, push, ack.',
    paths: ['pull', 'push', 'ack', 'entity-types'],
  },
];

export const ADMIN_TAGS: readonly ApiTag[] = [
  { name: 'audit', description: 'What administrators changed, and what they were refused.' },
  { name: 'conflicts', description: 'ConflictRecords of a tenant, and their history.' },
  { name: 'dead-letters', description: 'Events that could not be projected.' },
  { name: 'devices', description: 'Devices of a tenant, and their health.' },
  { name: 'explain', description: 'Why a device has or lacks an entity.' },
  { name: 'purges', description: 'Revoked scopes that a device still has to delete.' },
  { name: 'registrations', description: 'Which entity types there are, and who owns them.' },
  { name: 'scopes', description: 'Which scopes a user holds.' },
  { name: 'suggestions', description: 'What a language model may propose, and what it may cost.' },
].map((tag) => ({ ...tag, paths: [tag.name] }));

/** @returns the name of the tag of an operation @throws Error when no tag has its path */
export function tagOf(tags: readonly ApiTag[], path: string): string {
  const [, , , first = ''] = path.split('/');
  const tag = tags.find(({ paths }) => paths.includes(first));
  if (!tag) throw new Error(`${path} has no tag`);
  return tag.name;
}
