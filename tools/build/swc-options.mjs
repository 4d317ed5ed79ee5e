/**
 * One set of compiler options for what runs in production (tools/build) and what runs under Jest, so that a
 * test can never pass on code that is compiled differently from what is shipped.
 * @param {{ tsx: boolean }} file `.tsx`, where `<T>` begins an element
 */
export const swcOptions = ({ tsx }) => ({
  swcrc: false,
  sourceMaps: true,
  jsc: {
    target: 'es2023',
    parser: { syntax: 'typescript', decorators: true, tsx },
    transform: {
      legacyDecorator: true,
      decoratorMetadata: true,
      useDefineForClassFields: false,
      react: { runtime: 'automatic' },
    },
    rewriteRelativeImportExtensions: true,
    keepClassNames: true,
  },
  module: { type: 'es6' },
});
