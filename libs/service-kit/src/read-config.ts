import { readFileSync } from 'node:fs';

/**
 * Configuration as data: every option is `{env, type, desc}`, from which parsing, error messages and
 * documentation derive. It is read once, in an app's `config.ts`, and handed on typed.
 */
interface OptionBase {
  readonly env: string;
  readonly desc: string;
}

export interface StringOption extends OptionBase {
  readonly type: 'string';
  readonly default?: string;
  /** Missing is allowed and read as ''. */
  readonly optional?: true;
  /**
   * A process with NODE_ENV=production refuses to start without it, optional though it is elsewhere. One that
   * only migrates does not need it, and should not know every secret.
   */
  readonly requiredInProduction?: true;
}

export interface IntOption extends OptionBase {
  readonly type: 'int' | 'port';
  readonly default?: number;
  readonly min?: number;
  readonly max?: number;
}

export interface BoolOption extends OptionBase {
  readonly type: 'bool';
  readonly default?: boolean;
  /** A process with NODE_ENV=production refuses to start when it is true. */
  readonly refusedInProduction?: true;
}

/** For the `config.ts` of every process: the switch of crash tests. */
export const FAULT_INJECTION_OPTION = {
  env: 'FAULT_INJECTION',
  type: 'bool',
  default: false,
  refusedInProduction: true,
  desc: 'lets tests kill the process at named places, over NATS',
} as const satisfies BoolOption;

export type ConfigOption = StringOption | IntOption | BoolOption;

type ValueOf<O extends ConfigOption> = O extends StringOption
  ? string
  : O extends BoolOption
    ? boolean
    : number;

export type ConfigOf<S extends Readonly<Record<string, ConfigOption>>> = {
  readonly [K in keyof S]: ValueOf<S[K]>;
};

/** Names every bad variable at once, with what it is for: one start attempt shows all that is to be fixed. */
export class ConfigError extends Error {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(`Configuration is incomplete:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`);
    this.name = 'ConfigError';
    this.faults = faults;
  }
}

/**
 * A text may also come from a file, so that a secret need not stand in the environment: `CURSOR_SECRET_FILE`
 * names the file that holds `CURSOR_SECRET`. Blanks and line ends around it do not count.
 *
 * @param options the app's options by name
 * @param env the environment, usually `process.env`
 * @throws ConfigError listing every missing or malformed variable
 */
export function readConfig<const S extends Readonly<Record<string, ConfigOption>>>(
  options: S,
  env: Readonly<Record<string, string | undefined>>,
): ConfigOf<S> {
  const faults: string[] = [];
  const values: Record<string, string | number | boolean> = {};
  for (const [name, option] of Object.entries(options)) {
    const raw = option.type === 'string' ? textOf(option.env, env) : env[option.env];
    if (raw instanceof Error) {
      faults.push(`${option.env} ${raw.message} (${option.desc})`);
      continue;
    }
    const parsed = raw === undefined || raw === '' ? defaultOf(option, env) : parse(option, raw);
    if (parsed instanceof Error) faults.push(`${option.env} ${parsed.message} (${option.desc})`);
    else if (parsed === true && isRefused(option, env))
      faults.push(`${option.env} must not be set in production (${option.desc})`);
    else values[name] = parsed;
  }
  if (faults.length > 0) throw new ConfigError(faults);
  return values as ConfigOf<S>;
}

/** The variable itself, or what is in the file that its `…_FILE` names; never both. */
function textOf(name: string, env: Environment): string | undefined | Error {
  const path = env[`${name}_FILE`] ?? '';
  const given = env[name];
  if (path === '') return given;
  if (given !== undefined && given !== '') return new Error(`is set, and ${name}_FILE too`);
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    return new Error(`cannot be read: ${String(error)}`);
  }
}

type Environment = Readonly<Record<string, string | undefined>>;

function isRefused(option: ConfigOption, env: Environment): boolean {
  return option.type === 'bool' && option.refusedInProduction === true && isProduction(env);
}

function isProduction(env: Environment): boolean {
  return env['NODE_ENV'] === 'production';
}

function onlyMigrates(env: Environment): boolean {
  return ['true', '1'].includes(env['MIGRATE_AND_EXIT'] ?? '');
}

function defaultOf(option: ConfigOption, env: Environment): string | number | boolean | Error {
  if (option.default !== undefined) return option.default;
  if (option.type === 'string' && option.optional) {
    const isMissed = option.requiredInProduction === true && isProduction(env) && !onlyMigrates(env);
    return isMissed ? new Error('must be set in production') : '';
  }
  return new Error('is not set');
}

function parse(option: ConfigOption, raw: string): string | number | boolean | Error {
  switch (option.type) {
    case 'string':
      return raw;
    case 'bool':
      if (raw === 'true' || raw === '1') return true;
      return raw === 'false' || raw === '0' ? false : new Error(`is "${raw}", not true or false`);
    case 'int':
    case 'port': {
      const min = option.min ?? 0;
      const max = option.max ?? (option.type === 'port' ? 65_535 : Number.MAX_SAFE_INTEGER);
      const value = Number(raw);
      if (Number.isSafeInteger(value) && value >= min && value <= max) return value;
      return new Error(`is "${raw}", not a whole number from ${min} to ${max}`);
    }
  }
}
