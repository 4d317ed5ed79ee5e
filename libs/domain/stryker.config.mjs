import { mutationOf } from '../../tools/jest/mutation.mjs';

/** The decisions. */
export default mutationOf('libs/domain', ['src/**/!(testing)/!(*.test|index).ts', 'src/!(*.test|index).ts']);
