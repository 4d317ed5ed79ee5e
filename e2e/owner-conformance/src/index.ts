export { OWNER_KIT } from './owner-kit.ts';
export { readOwnerFile } from './kit/owner-file.ts';
export type { OwnerFile, OwnerTarget } from './kit/owner-file.ts';
export { playPlatform } from './kit/play-platform.ts';
export type { PlayedPlatform } from './kit/play-platform.ts';
export { BROKEN_OWNERS } from './broken/broken-owners.ts';
export type { BrokenOwner } from './broken/broken-owner.ts';
export { startBreakableOwner } from './broken/breakable-owner.ts';
export type { BreakableOwner } from './broken/breakable-owner.ts';
