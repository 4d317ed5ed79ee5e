/** What `npm run defences` takes away, one after the other, and the test that has to notice. */

/** One defence of SECURITY.md. */
export interface Defence {
  /** What it keeps out, in a few words. */
  readonly against: string;
  /** Relative to the root, as is `test`. */
  readonly file: string;
  /** Stands in the file once. */
  readonly text: string;
  /** What stands there without the defence. */
  readonly without: string;
  /** A test file that SECURITY.md names. */
  readonly test: string;
}

const GATEWAY = 'apps/sync-gateway/src';
const DEVICE_CHECK = `${GATEWAY}/access/device-check.nats.test.ts`;
const ADMIN_ROLES = `${GATEWAY}/access/admin-roles.nats.test.ts`;
const SEALED_KEYS = 'e2e/platform/src/identity/sealed-keys.nats.test.ts';

export const DEFENCES: readonly Defence[] = [
  {
    against: 'a request that its device did not sign',
    file: 'libs/service-kit/src/verify-signature.ts',
    text: `isEqual(createHmac('sha256', key).update(base).digest('base64'), claimed.value)`,
    without: 'base.length > 0',
    test: DEVICE_CHECK,
  },
  {
    against: 'a body that is not the signed one',
    file: 'libs/service-kit/src/verify-signature.ts',
    text: `if (!isEqual(hash('sha256', rawBody, 'base64'), digest))`,
    without: `if (digest === 'none')`,
    test: DEVICE_CHECK,
  },
  {
    against: 'a revoked device that goes on',
    file: `${GATEWAY}/access/follow-revocations.ts`,
    text: 'this.#options.bindings.forget(device);',
    without: '',
    test: DEVICE_CHECK,
  },
  {
    against: 'a captured request for a ticket',
    file: `${GATEWAY}/live/tickets.sql`,
    text: `< clock_timestamp() THEN RETURN 'replayed'; END IF;`,
    without: `< clock_timestamp() THEN RETURN 'issued'; END IF;`,
    test: `${GATEWAY}/live/hostile-sockets.nats.test.ts`,
  },
  {
    against: 'a mutation that was changed on its device',
    file: `${GATEWAY}/push/prepare/refuse-tags.ts`,
    text: `if (verdicts[place] !== 'wrong') return one;`,
    without: `if (verdicts[place] !== 'none') return one;`,
    test: `${GATEWAY}/push/tags.nats.test.ts`,
  },
  {
    against: 'a waiting mutation that was changed, with its hash',
    file: `${GATEWAY}/push/prepare/restore-as-it-came.ts`,
    text: `const mutation = tag === 'wrong' ? null : parse(`,
    without: 'const mutation = parse(',
    test: `${GATEWAY}/dispatch/tagged.nats.test.ts`,
  },
  {
    against: 'a waiting mutation that was changed, without a tag',
    file: `${GATEWAY}/push/prepare/restore-as-it-came.ts`,
    text: 'return sent === known ? mutation : null;',
    without: 'return sent === null ? null : mutation;',
    test: `${GATEWAY}/dispatch/tampered.nats.test.ts`,
  },
  {
    against: 'somebody who sees what was taken away',
    file: `${GATEWAY}/grants/shown-wire.sql`,
    text: `IF v_record ->> 'scope' IS NULL OR holds_scope(p_tenant, p_user, v_record ->> 'scope') THEN`,
    without: 'IF true THEN',
    test: `${GATEWAY}/conflicts/withdrawn-scope.nats.test.ts`,
  },
  {
    against: 'a few bytes that inflate to many',
    file: `${GATEWAY}/edge/inflate-body.ts`,
    text: 'Math.max(LIMITS.bodyCompressedBytes, sentBytes * LIMITS.inflationRatio)',
    without: 'Math.max(inflatedBytes, sentBytes)',
    test: `${GATEWAY}/edge/hostile-bodies.nats.test.ts`,
  },
  {
    against: 'a tenant that takes more than its part',
    file: `${GATEWAY}/fairness/token-buckets.ts`,
    text: '(this.#fullAtMs.get(key) ?? 0) - nowMs - this.#fillMs)',
    without: '(this.#fullAtMs.get(key) ?? 0) - nowMs - this.#fillMs) * 0',
    test: `${GATEWAY}/fairness/fairness.nats.test.ts`,
  },
  {
    against: 'an administrator who does what is not his',
    file: `${GATEWAY}/access/authenticate-admin.ts`,
    text: 'if (!claims.roles.includes(role)) return false;',
    without: '',
    test: ADMIN_ROLES,
  },
  {
    against: 'an operator of another tenant than the platform’s',
    file: `${GATEWAY}/access/authenticate-admin.ts`,
    text: `return role !== 'sync-operator' || claims.tenantId === platformTenant;`,
    without: 'return platformTenant.length > 0;',
    test: ADMIN_ROLES,
  },
  {
    against: 'a line of the audit log that was changed',
    file: 'libs/postgres/src/hash-chain/verify-links.ts',
    text: 'if (hashText(text) !== hash)',
    without: `if (hashText(text) === '')`,
    test: `${GATEWAY}/audit/audit.pg.test.ts`,
  },
  {
    against: 'a service that registers what is another’s',
    file: `${GATEWAY}/registration/registration-rights.ts`,
    text: 'if (!(isOpen ? this.#isFree(entityType) : this.isAssigned(service, entityType))) {',
    without: 'if (isOpen && !this.#isFree(entityType)) {',
    test: `${GATEWAY}/registration/register-trust.nats.test.ts`,
  },
  {
    against: 'a service that speaks for others in NATS',
    file: 'tools/deployment/nats-account.ts',
    text: 'publish: { allow: [${quoted(publish)}]',
    without: 'publish: { allow: [">"]',
    test: 'tools/deployment/nats-account.nats.test.ts',
  },
  {
    against: 'whoever reads the keys in a database',
    file: 'libs/service-kit/src/seal/key-seal.ts',
    text: '(await this.current(tx))?.seal(owner, secret) ?? secret;',
    without: '(await this.current(tx)) && owner.length > 0 ? secret : secret;',
    test: SEALED_KEYS,
  },
  {
    against: 'a sealed key in the row of another device',
    file: 'libs/service-kit/src/seal/sealed-text.ts',
    text: `return Buffer.from(JSON.stringify(owner), 'utf8');`,
    without: `return Buffer.from(owner[0] ?? '', 'utf8');`,
    test: SEALED_KEYS,
  },
  {
    against: 'a key in clear that somebody put into a database',
    file: 'libs/service-kit/src/seal/key-seal.ts',
    text: `if (this.#options.sealing === 'only') throw`,
    without: `if (this.#options.sealing === 'later' && stored === '') throw`,
    test: SEALED_KEYS,
  },
];
