/**
 * Lint for the whole workspace. Three parts: typescript-eslint's strictest type-checked rules, the layers of
 * docs/ARCHITECTURE.md as Nx module boundaries, and what the pure layers may not touch.
 *
 * `tools/lint-fixtures` holds violations of each part; `tools/lint.test.ts` fails when one of them is no
 * longer reported. Comments that switch rules off do nothing here (`noInlineConfig`): an exception is made in
 * this file, with its reason.
 */
import { builtinModules } from 'node:module';
import { createProjectGraphAsync } from '@nx/devkit';
import nx from '@nx/eslint-plugin';
import prettier from 'eslint-config-prettier/flat';
import reactHooks from 'eslint-plugin-react-hooks';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

// The Nx rule reads the project graph from a cache file and skips itself with a warning when there is none:
// on a fresh clone every boundary would silently be open. Computing it here takes about 0.5 s and makes the
// rule always run.
process.env.NX_DAEMON ??= 'false';
await createProjectGraphAsync({ exitOnError: false });

const PURE = ['vector-clock', 'domain', 'protocol'];
/** `documents` runs worker threads, so it is not pure; it has nothing to do with servers and drivers. */
const NO_FRAMEWORK = [
  ...PURE,
  ...['documents', 'client-sdk', 'client-rxdb', 'client-tanstack-db', 'client-testing', 'client-react'],
];
const PURE_SOURCES = PURE.map((lib) => `libs/${lib}/src/**/*.ts`);
const TESTS = ['**/*.test.ts', '**/testing/**/*.{ts,tsx}'];

/** From the bottom up. */
const SHARED = [
  'vector-clock',
  'domain',
  'protocol',
  'messaging',
  'postgres',
  'service-kit',
  'owner-sdk',
  'documents',
];
/** What tests and tools of the whole project may import. */
const EVERYTHING = [
  'e2e',
  'browser',
  'client-sdk',
  'client-rxdb',
  'client-tanstack-db',
  'client-testing',
  'client-react',
  ...SHARED,
];

/**
 * What each layer may import; a layer that is not named in a list is forbidden there. No list names
 * `layer:app`.
 */
const LAYERS = {
  'vector-clock': [],
  domain: ['vector-clock'],
  protocol: ['domain', 'vector-clock'],
  documents: ['domain', 'vector-clock'],
  // The browser only in tests: its entry is a testing entry.
  'client-sdk': ['browser', 'protocol', 'domain', 'vector-clock'],
  'client-tanstack-db': ['client-sdk', 'protocol'],
  // The test server only in tests.
  'client-rxdb': ['client-testing', 'client-sdk', 'protocol', 'vector-clock'],
  'client-testing': ['client-sdk', 'documents', 'protocol', 'domain', 'vector-clock'],
  // The browser and the test server only in tests.
  'client-react': ['browser', 'client-testing', 'client-sdk', 'protocol', 'domain'],
  browser: ['postgres'],
  postgres: ['protocol', 'domain', 'vector-clock'],
  messaging: ['postgres', 'protocol', 'domain', 'vector-clock'],
  'owner-sdk': ['documents', 'postgres', 'messaging', 'protocol', 'domain', 'vector-clock'],
  'service-kit': ['postgres', 'messaging', 'protocol', 'domain', 'vector-clock'],
  app: SHARED,
  e2e: EVERYTHING,
  tools: EVERYTHING,
};

/**
 * Frameworks and drivers; `allowedExternalImports` would be stricter but could not tell a test from what it
 * tests.
 */
const IMPURE_PACKAGES = [
  '@nestjs/*',
  '@nats-io/*',
  '@fastify/*',
  'fastify',
  'pg',
  'typeorm',
  'ws',
  'pino',
  'prom-client',
];

/** The resolver owns an entity type itself, `conflict`; the other apps own nothing that devices change. */
const OWNS_NO_ENTITIES = ['sync-gateway', 'delta-projector', 'device-health'];

const depConstraints = [
  ...Object.entries(LAYERS).map(([layer, allowed]) => ({
    sourceTag: `layer:${layer}`,
    onlyDependOnLibsWithTags: allowed.map((name) => `layer:${name}`),
    ...(NO_FRAMEWORK.includes(layer) ? { bannedExternalImports: IMPURE_PACKAGES } : {}),
  })),
  ...OWNS_NO_ENTITIES.map((app) => ({
    sourceTag: `scope:${app}`,
    notDependOnLibsWithTags: ['layer:owner-sdk'],
  })),
];

function withSockets({ bannedExternalImports: banned, ...constraint }) {
  return banned
    ? { ...constraint, bannedExternalImports: banned.filter((name) => name !== 'ws') }
    : constraint;
}

function withDevices(constraint) {
  if (constraint.sourceTag !== 'layer:app') return constraint;
  return {
    ...constraint,
    onlyDependOnLibsWithTags: [...constraint.onlyDependOnLibsWithTags, 'layer:client-sdk'],
  };
}

const TESTING_ENTRY = {
  group: ['@sync/*/testing'],
  message: 'Only tests may import a testing entry.',
};
const NODE_MODULES = {
  regex: `^(node:.*|(${builtinModules.join('|')})(/.*)?)$`,
  message: 'No Node module here: it must run in a browser and in the simulator.',
};
const ONLY_ITS_TYPES = {
  name: '@sync/protocol',
  allowTypeImports: true,
  message: 'Only its types: values come from @sync/protocol/device, which loads no schemas.',
};

const EXPORT_ALL = {
  selector: 'ExportAllDeclaration',
  message: 'Name each export: `export *` hides what a module offers.',
};
const CLOCK_READ = {
  selector: 'NewExpression[callee.name="Date"][arguments.length=0]',
  message: 'A pure layer reads no clock: take the time as a parameter.',
};
const SKIPPED_TEST = {
  selector:
    'MemberExpression[object.name=/^(it|test|describe)$/][property.name=/^(skip|only|todo|failing)$/], CallExpression[callee.name=/^(xit|xtest|xdescribe|fit|fdescribe)$/]',
  message: 'No test is skipped or run alone.',
};

export default defineConfig(
  {
    ignores: [
      '**/dist',
      '**/coverage',
      '**/node_modules',
      'reports',
      '.nx',
      '.stryker-tmp',
      '**/*.fixture.ts',
    ],
  },
  { linterOptions: { noInlineConfig: true, reportUnusedDisableDirectives: 'error' } },
  {
    files: ['**/*.{ts,tsx}'],
    extends: [tseslint.configs.strictTypeChecked],
    plugins: { '@nx': nx },
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      '@nx/enforce-module-boundaries': ['error', { depConstraints, enforceBuildableLibDependency: false }],
      '@typescript-eslint/consistent-type-exports': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'separate-type-imports' }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true, requireDefaultForNonUnion: true },
      ],
      '@typescript-eslint/ban-ts-comment': ['error', { 'ts-expect-error': 'allow-with-description' }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      // A Nest module is an empty class; its decorator is a call where a file must also run with its types
      // stripped only.
      '@typescript-eslint/no-extraneous-class': ['error', { allowEmpty: true, allowWithDecorator: true }],
      // There is no enum to assign (erasableSyntaxOnly), and looking for them was the dearest rule.
      '@typescript-eslint/no-unsafe-enum-assignment': 'off',
      // Nest declares its options as classes and expects literals; our own classes have #private members,
      // which tsc holds nominal.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
      // `query<Row>(text, values)` names the row's type where the statement stands; the alternative is a cast
      // at each call.
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      // An async function without await still turns a throw into a rejection; interfaces ask for exactly
      // that.
      '@typescript-eslint/require-await': 'off',
      'no-restricted-syntax': ['error', EXPORT_ALL],
      eqeqeq: 'error',
      'no-console': 'error',
    },
  },
  {
    // Somebody else chose the keys of what these read.
    files: ['apps/*/src/**/*.ts', 'libs/postgres/src/**/*.ts'],
    ignores: TESTS,
    rules: {
      'no-restricted-properties': [
        'error',
        {
          object: 'JSON',
          property: 'parse',
          message: 'V8 takes some keys for others: readJson of @sync/domain says which, and does not.',
        },
      ],
    },
  },
  {
    files: ['apps/*/src/**/*.ts', 'libs/*/src/**/*.{ts,tsx}'],
    ignores: TESTS,
    rules: { 'no-restricted-imports': ['error', { patterns: [TESTING_ENTRY] }] },
  },
  {
    // It runs in browsers, in React Native and in Node.
    files: ['libs/client-{sdk,rxdb,tanstack-db,react}/src/**/*.{ts,tsx}'],
    ignores: TESTS,
    rules: {
      'no-restricted-imports': ['error', { patterns: [TESTING_ENTRY, NODE_MODULES] }],
      '@typescript-eslint/no-restricted-imports': ['error', { paths: [ONLY_ITS_TYPES] }],
    },
  },
  {
    // It runs wherever the tests of an app do, and takes what is decided about documents with it.
    files: ['libs/{client-testing,documents}/src/**/*.ts'],
    ignores: [...TESTS, 'libs/documents/src/{node.ts,pool/**}'],
    rules: { 'no-restricted-imports': ['error', { patterns: [TESTING_ENTRY, NODE_MODULES] }] },
  },
  {
    // Hooks stand in both: what gives a component its state needs no markup.
    files: ['libs/client-react/src/**/*.{ts,tsx}'],
    extends: [reactHooks.configs.flat['recommended-latest']],
  },
  {
    // What a device sends is tested against a whole gateway.
    files: ['apps/sync-gateway/src/**/*.test.ts'],
    rules: {
      '@nx/enforce-module-boundaries': [
        'error',
        { depConstraints: depConstraints.map(withDevices), enforceBuildableLibDependency: false },
      ],
    },
  },
  {
    // Its live socket is tested with real ones.
    files: ['libs/client-sdk/src/**/*.test.ts'],
    rules: {
      '@nx/enforce-module-boundaries': [
        'error',
        { depConstraints: depConstraints.map(withSockets), enforceBuildableLibDependency: false },
      ],
    },
  },
  {
    files: PURE_SOURCES,
    ignores: TESTS,
    rules: {
      'no-restricted-imports': ['error', { patterns: [TESTING_ENTRY, NODE_MODULES] }],
      'no-restricted-globals': [
        'error',
        ...[
          'process',
          'performance',
          'crypto',
          'setTimeout',
          'setInterval',
          'setImmediate',
          'queueMicrotask',
          'fetch',
        ],
      ],
      'no-restricted-properties': [
        'error',
        {
          object: 'Date',
          property: 'now',
          message: 'A pure layer reads no clock: take the time as a parameter.',
        },
        {
          object: 'Math',
          property: 'random',
          message: 'A pure layer has no randomness: take it as a parameter.',
        },
      ],
      'no-restricted-syntax': ['error', EXPORT_ALL, CLOCK_READ],
    },
  },
  {
    files: TESTS,
    rules: {
      'no-restricted-syntax': ['error', EXPORT_ALL, SKIPPED_TEST],
      // `expect(object.method)` never calls what it names.
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  {
    // Command-line programs talk to a terminal.
    files: ['tools/**/*.ts', 'e2e/**/*.ts', 'libs/*/*.ts', 'libs/*/{freeze,look}/*.ts'],
    ignores: ['e2e/platform/**'],
    rules: { 'no-console': 'off' },
  },
  prettier,
);
