import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { SERVICES } from './services.ts';

const infra = (file: string): string =>
  readFileSync(resolve(import.meta.dirname, '../../infra', file), 'utf8');
const compose = infra('compose.yaml');
const balancer = infra('balancer/haproxy.cfg');

describe('infra/compose.yaml', () => {
  it('provisions the databases of the stack', () => {
    const [, list = ''] = /^ +DATABASES: (.*)$/m.exec(compose) ?? [];
    expect(list.split(' ').sort()).toEqual(SERVICES.map((service) => service.database).sort());
  });

  it.each(SERVICES)(
    'runs $app with secrets of its own, and none of an owner role',
    ({ app, entry, sealsKeys }) => {
      const block = blockOf(app);
      const masterKeys = sealsKeys ? [`${app}-master-keys → master_keys`] : [];
      expect(secretsOf(block)).toEqual([
        ...[`${app}-nats → nats`, `${app}-database → database_url`],
        ...masterKeys,
      ]);
      expect(block.includes('MASTER_KEYS_FILE: /run/secrets/master_keys\n')).toBe(sealsKeys === true);
      const main = entry.replace(/^(?:apps\/[^/]+|e2e\/platform)\//, '');
      if (entry.startsWith('e2e/')) expect(block).toContain(`${main}]`);
      else expect(block).toContain(`PROJECT: apps/${app} }`);
    },
  );

  it.each(SERVICES)('migrates the database of $app in a job with nothing but the owner role', ({ app }) => {
    const block = blockOf(`${app}-migration`);
    expect(secretsOf(block)).toEqual([`${app}-owner → database_owner_url`]);
    expect(block).toContain('<<: *migration-environment\n');
    expect(block).not.toContain('ports:');
  });

  it.each(SERVICES)(
    'takes the secrets of $app from the files that npm run secrets makes',
    ({ app, database, sealsKeys }) => {
      expect(compose).toContain(`  ${app}-nats: { file: ./secrets/nats/${app}.nk }\n`);
      expect(compose).toContain(`  ${app}-database: { file: ./secrets/${database}/database_url }\n`);
      expect(compose).toContain(`  ${app}-owner: { file: ./secrets/${database}/database_owner_url }\n`);
      const masterKeys = `  ${app}-master-keys: { file: ./secrets/${database}/master_keys }\n`;
      expect(compose.includes(masterKeys)).toBe(sealsKeys === true);
    },
  );

  it.each(SERVICES)('gives $app the settings of a file of its own, and no other process', ({ app }) => {
    const file = `    env_file: [{ path: ${app}.env, required: false }]\n`;
    expect(blockOf(app)).toContain(file);
    expect(compose.split(`${app}.env`).length - 1).toBe(app === 'sync-gateway' ? 2 : 1);
  });

  it('runs two gateways behind the balancer, which alone is where devices connect', () => {
    expect(blockOf('sync-gateway')).toContain('    deploy: { replicas: 2 }\n');
    expect(blockOf('sync-gateway')).not.toContain('ports:');
    expect(blockOf('balancer')).toContain('./balancer/haproxy.cfg:');
    const [, service, port, opsPort] =
      /server-template \S+ \d+ (\S+):(\d+) check port (\d+)/.exec(balancer) ?? [];
    expect([service, port, opsPort]).toEqual(['sync-gateway', ...portsOfImage()]);
  });

  it('has no password in it, and none from the environment', () => {
    expect(compose).not.toMatch(/postgres:\/\/|PASSWORD: |_PASSWORD\}/);
  });
});

/** Where a process listens, and where it says how it is. */
function portsOfImage(): string[] {
  const [, port = '', opsPort = ''] = /PORT=(\d+) OPS_PORT=(\d+)/.exec(infra('images/Dockerfile')) ?? [];
  return [port, opsPort];
}

/** The lines of one service. */
function blockOf(service: string): string {
  const [, block = ''] = new RegExp(`^  ${service}:\\n((?: {4}.*\\n)+)`, 'm').exec(compose) ?? [];
  return block;
}

function secretsOf(block: string): string[] {
  return [...block.matchAll(/\{ source: (\S+), target: (\S+) \}/g)].map(([, from, to]) => `${from} → ${to}`);
}
