import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, FAULT_INJECTION_OPTION, readConfig } from './read-config.ts';

const OPTIONS = {
  port: { env: 'PORT', type: 'port', default: 0, desc: 'where to listen' },
  url: { env: 'DATABASE_URL', type: 'string', desc: 'the app role’s connection' },
  hint: { env: 'HINT', type: 'string', optional: true, desc: 'free text' },
  batch: { env: 'BATCH', type: 'int', min: 1, max: 10, default: 5, desc: 'rows at once' },
  durable: { env: 'DURABLE', type: 'bool', default: true, desc: 'fsync' },
} as const;

describe('readConfig', () => {
  it('takes defaults and parses what is given', () => {
    expect(readConfig(OPTIONS, { DATABASE_URL: 'postgres://x', BATCH: '7', DURABLE: 'false' })).toEqual({
      port: 0,
      url: 'postgres://x',
      hint: '',
      batch: 7,
      durable: false,
    });
  });

  it('refuses in production what only tests may switch on', () => {
    const options = { faults: FAULT_INJECTION_OPTION };
    const env = { FAULT_INJECTION: 'true' };
    expect(readConfig(options, env).faults).toBe(true);
    expect(() => readConfig(options, { ...env, NODE_ENV: 'production' })).toThrow(
      /FAULT_INJECTION must not be set in production/,
    );
    expect(readConfig(options, { NODE_ENV: 'production' }).faults).toBe(false);
  });

  it('asks in production for what only development may do without', () => {
    const options = {
      rights: {
        env: 'RIGHTS',
        type: 'string',
        optional: true,
        requiredInProduction: true,
        desc: 'who may what',
      },
    } as const;
    expect(readConfig(options, {}).rights).toBe('');
    expect(() => readConfig(options, { NODE_ENV: 'production' })).toThrow(/RIGHTS must be set in production/);
    expect(readConfig(options, { NODE_ENV: 'production', MIGRATE_AND_EXIT: 'true' }).rights).toBe('');
  });

  it('takes a text from a file, and says when it can not', async () => {
    const options = { secret: { env: 'SECRET', type: 'string', desc: 'a key' } } as const;
    const file = join(await mkdtemp(join(tmpdir(), 'config-')), 'secret');
    await writeFile(file, 'from a file\n');
    expect(readConfig(options, { SECRET_FILE: file }).secret).toBe('from a file');
    expect(readConfig(options, { SECRET: 'given', SECRET_FILE: '' }).secret).toBe('given');
    const both = { SECRET: 'given', SECRET_FILE: file };
    expect(() => readConfig(options, both)).toThrow('SECRET is set, and SECRET_FILE too (a key)');
    expect(() => readConfig(options, { SECRET_FILE: `${file}.none` })).toThrow(
      /SECRET cannot be read.*ENOENT/,
    );
  });

  it('names every fault at once, with what the variable is for', () => {
    const attempt = (): unknown => readConfig(OPTIONS, { PORT: '70000', BATCH: '0', DURABLE: 'yes' });
    expect(attempt).toThrow(ConfigError);
    expect(attempt).toThrow(
      /PORT is "70000".*where to listen[\s\S]*DATABASE_URL is not set[\s\S]*BATCH is "0"[\s\S]*DURABLE is "yes"/,
    );
  });
});
