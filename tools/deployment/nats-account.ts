import { identitiesOf, permissionsOf, type ServiceRights } from '@sync/protocol';

/** Public nkeys (`U…`) by service. Two of one service are both good: while one takes the other's place. */
export type PublicKeys = Readonly<Record<string, readonly string[]>>;

/** A person or a test that may do everything in the account. */
export interface Developer {
  readonly user: string;
  readonly password: string;
}

/** Options of {@link accountLines}. */
export interface AccountOptions {
  /** One for each environment: accounts do not see each other's messages and streams. */
  readonly account: string;
  readonly rights: ServiceRights;
  readonly keys: PublicKeys;
  readonly developer?: Developer;
}

/** A reply may take as long as the slowest request waits. */
const REPLIES = '{ max: 1, expires: "5m" }';

/**
 * The account of one environment, in the configuration language of nats-server: a user for each service that
 * has a key, with the subjects that the channels of the platform give it.
 *
 * @returns lines that belong to the top level of a configuration
 */
export function accountLines({ account, rights, keys, developer }: AccountOptions): string[] {
  const users = identitiesOf(rights).flatMap((service) =>
    (keys[service] ?? []).flatMap((nkey) => userLines(service, nkey, rights)),
  );
  const everything = developer && [
    `      { user: ${JSON.stringify(developer.user)}, password: ${JSON.stringify(developer.password)} }`,
  ];
  return [
    'accounts {',
    `  ${account} {`,
    '    jetstream: enabled',
    '    users: [',
    ...users,
    ...(everything ?? []),
    '    ]',
    '  }',
    '}',
  ];
}

function userLines(service: string, nkey: string, rights: ServiceRights): string[] {
  const { publish, publishDenied, subscribe } = permissionsOf(service, rights);
  return [
    `      # ${service}`,
    `      { nkey: ${nkey}, permissions: {`,
    `        publish: { allow: [${quoted(publish)}]${denied(publishDenied)} }`,
    `        subscribe: { allow: [${quoted(subscribe)}] }`,
    `        allow_responses: ${REPLIES}`,
    '      } }',
  ];
}

function denied(patterns: readonly string[]): string {
  return patterns.length === 0 ? '' : `, deny: [${quoted(patterns)}]`;
}

function quoted(patterns: readonly string[]): string {
  return patterns.map((pattern) => `\n          ${JSON.stringify(pattern)}`).join('');
}
