import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { SERVICES } from './services.ts';

const compose = readFileSync(resolve(import.meta.dirname, '../../infra/compose.yaml'), 'utf8');

describe('infra/compose.yaml', () => {
  it('provisions the databases of the stack', () => {
    const [, list = ''] = /^ +DATABASES: (.*)$/m.exec(compose) ?? [];
    expect(list.split(' ').sort()).toEqual(SERVICES.map((service) => service.database).sort());
  });

  it.each(SERVICES)('runs $app with its own database, as app and as owner', ({ app, database, entry }) => {
    const [, block = ''] = new RegExp(`^  ${app}:\\n((?: {4}.*\\n)+)`, 'm').exec(compose) ?? [];
    expect(block).toContain(
      `DATABASE_URL: postgres://${database}_app:\${APP_PASSWORD}@postgres:5432/${database}\n`,
    );
    expect(block).toContain(
      `DATABASE_OWNER_URL: postgres://${database}_owner:\${OWNER_PASSWORD}@postgres:5432/${database}\n`,
    );
    const main = entry.replace(/^(?:apps\/[^/]+|e2e\/platform)\//, '');
    if (entry.startsWith('e2e/')) expect(block).toContain(`${main}]`);
    else expect(block).toContain(`PROJECT: apps/${app} }`);
  });
});
