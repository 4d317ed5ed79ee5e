/**
 * One set of compiler options for what runs in production (tools/build) and what runs under Jest, so that a
 * test can never pass on code that is compiled differently from what is shipped.
 */
export const swcOptions = {
  swcrc: false,
  sourceMaps: true,
  jsc: {
    target: 'es2023',
    parser: { syntax: 'typescript', decorators: true },
    transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
    rewriteRelativeImportExtensions: true,
    keepClassNames: true,
  },
  module: { type: 'es6' },
};
