/**
 * Lets plain Node resolve `@sync/*` to TypeScript sources, as Jest does inside tests: for Jest's own setup
 * modules, which it imports without our transform and without the `source` condition. Import it before any
 * `@sync/*` module.
 */
import { registerHooks } from 'node:module';

registerHooks({
  resolve: (specifier, context, next) =>
    next(
      specifier,
      specifier.startsWith('@sync/')
        ? { ...context, conditions: [...context.conditions, 'source'] }
        : context,
    ),
});
