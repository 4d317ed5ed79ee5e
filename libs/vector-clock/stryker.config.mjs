import { mutationOf } from '../../tools/jest/mutation.mjs';

/** The clock semantics. */
export default mutationOf('libs/vector-clock', ['src/!(*.test|index).ts']);
