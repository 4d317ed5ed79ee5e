/** `npm run write-tag-vectors -w @sync/protocol`: writes golden/mutation-tags.json. */
import { writeFile } from 'node:fs/promises';
import { TAG_VECTORS_TEXT } from './tag-vectors.ts';

await writeFile(new URL('../golden/mutation-tags.json', import.meta.url), TAG_VECTORS_TEXT);
