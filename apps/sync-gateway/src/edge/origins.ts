import { ConfigError } from '@sync/service-kit';

const ORIGIN = /^([a-z][a-z0-9+.-]*:\/\/[a-z0-9.-]+|[a-z][a-z0-9+.-]*:\/\/\[[0-9a-f:]+\])(?::(\d{1,5}|\*))?$/;

/**
 * @param list separated by commas, each as a browser writes it: in lower case, without a path, without the
 *   port that its scheme has anyway. `*` as the port means any port.
 * @returns what an `Origin` matches that is one of them
 * @throws ConfigError naming what is no origin
 */
export function readOrigins(list: string): RegExp[] {
  const origins = list.split(',').map((origin) => origin.trim());
  return origins.filter((origin) => origin !== '').map(readOrigin);
}

function readOrigin(origin: string): RegExp {
  const [, host = '', port] = ORIGIN.exec(origin) ?? [];
  if (host === '') {
    const example = 'such as https://app.example.com or http://localhost:*';
    throw new ConfigError([`CORS_ORIGINS: ${JSON.stringify(origin)} is no origin ${example}`]);
  }
  const anyPort = port === '*' ? '(:\\d{1,5})?' : '';
  const exact = port === '*' ? host : origin;
  return new RegExp(`^${exact.replace(/[.+*[\]]/g, '\\$&')}${anyPort}$`);
}
