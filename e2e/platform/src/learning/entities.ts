/** The entity types of the learning service, with their rules. */
export { bundle } from './bundle/bundle.ts';
export { certificate } from './certificate/certificate.ts';
export { enrollment } from './enrollment/enrollment.ts';
export { highlight } from './highlight/highlight.ts';
export { note } from './note/note.ts';
export { progress } from './progress/progress.ts';
export { statement } from './statement/statement.ts';
export type { OwnedEntity } from '../owning-service/owned-entity.ts';
