import { type Logger, type Metrics, untilAvailable } from '@sync/service-kit';
import type { DeviceBindings } from './access/device-bindings.ts';
import type { GatewayNews } from './heads/gateway-news.ts';
import { RECORD_DEVICE_SEEN, type RecordDeviceSeen } from './presence/record-device-seen.ts';
import { DispatchDevice } from './dispatch/dispatch-device.ts';
import { DispatchStore } from './dispatch/dispatch-store.ts';
import { Dispatcher } from './dispatch/dispatcher.ts';
import { FindHidden } from './dispatch/find-hidden.ts';
import { AcceptPush, type OutcomesStored } from './push/accept-push.ts';
import { AskUpcaster } from './push/owners/ask-upcaster.ts';
import { LiftMutations } from './push/owners/lift-mutations.ts';
import { AskDeleted } from './push/decide/ask-deleted.ts';
import { DecideLanes } from './push/decide/decide-lanes.ts';
import { KeepDecisions } from './push/ledger/keep-decisions.ts';
import { LedgerStore } from './push/ledger/ledger-store.ts';
import type { Admission } from './push/prepare/admit-mutation.ts';
import { VerifyTags } from './push/prepare/verify-tags.ts';
import { PUSH_LOGGER, PushController } from './push/push-controller.ts';
import { PushGate } from './push/push-gate.ts';
import { ledgerPruning } from './push/ledger/prune-ledger.ts';
import { PushMetrics } from './push/push-metrics.ts';
import { ReadHeads } from './read-model/read-heads.ts';
import { SendToOwner } from './push/owners/send-to-owner.ts';
import { SettleMutations } from './push/settle-mutations.ts';
import type { WiredAudit } from './wire-audit.ts';
import { AnswerRegistry } from './registration/answer-registry.ts';
import { EntityTypesController } from './registration/entity-types-controller.ts';
import { RegisterService } from './registration/register-service.ts';
import { Registry } from './registration/registry.ts';
import type { WiredAccess } from './wire-access.ts';
import type { Foundation, Wired } from './wire-foundation.ts';

/** What the reading side gives: it wakes those who wait for what is written here. */
export interface ReadingSide {
  readonly news: GatewayNews;
  readonly deviceSeen: RecordDeviceSeen;
}

/**
 * A device that works offline for months stays far below; it bounds what one device can make the dispatcher
 * do.
 */
const MAX_OPEN_PER_DEVICE = 10_000;
/** A push that waits longer for the one before it is better answered with Retry-After. */
const DEVICE_LINE = { waitingPerDevice: 8, waitMs: 5_000 };

/** Pushes, the background work they leave, and the registrations they are routed by. */
export function wireWriting(
  foundation: Foundation,
  { bindings }: Pick<WiredAccess, 'bindings'>,
  { news, deviceSeen }: ReadingSide,
  audit: WiredAudit,
): Wired & { readonly registry: Registry; readonly registerService: RegisterService } {
  const { config, logger, metrics, database, requestDatabase, nats, relay, rights } = foundation;
  const registry = new Registry(requestDatabase, nats, logger);
  const registerService = new RegisterService(requestDatabase, rights, audit.log, async () => {
    relay.kick();
    await registry.announceChange();
  });
  const answers = new AnswerRegistry(nats, { rights, registerService, audit }, registry, logger);

  const pushMetrics = new PushMetrics(metrics);
  const ledger = ledgerOf(foundation);
  const heads = new ReadHeads(requestDatabase);
  const owners = new SendToOwner(nats, logger, pushMetrics, config.ownerTimeoutMs);
  const lifter = new LiftMutations(new AskUpcaster(nats, logger));
  const settler = new SettleMutations(
    owners,
    new DecideLanes(heads, new AskDeleted(nats, logger)),
    heads,
    lifter,
    new KeepDecisions(requestDatabase),
    pushMetrics,
  );
  const outcomesStored: OutcomesStored = (author) => {
    relay.kick();
    news.announce({ devices: [author] });
  };
  const admission = admissionOf(registry, bindings, pushMetrics, logger);
  const acceptPush = new AcceptPush(ledger, settler, heads, admission, pushMetrics, outcomesStored);
  const gate = new PushGate({ inFlight: config.maxPushesInFlight, ...DEVICE_LINE }, pushMetrics);

  const store = new DispatchStore(database);
  measureQueue(metrics, store);
  const giveUpAfterMs = config.giveUpAfterHours * 3_600_000;
  const noteTampered = (): void => pushMetrics.tampered.inc();
  const lastResorts = { hidden: new FindHidden(nats, logger), giveUpAfterMs, noteTampered };
  const dispatchDevice = new DispatchDevice(store, ledger, settler, admission, lastResorts, outcomesStored);
  const dispatcher = new Dispatcher(store, dispatchDevice, logger);
  ledger.onOpen((dueInMs) => dispatcher.expect(dueInMs));
  const prune = ledgerPruning(database, logger, config.ledgerDays);

  return {
    registry,
    registerService,
    controllers: [PushController, EntityTypesController],
    providers: [
      { provide: AcceptPush, useValue: acceptPush },
      { provide: PushGate, useValue: gate },
      { provide: RECORD_DEVICE_SEEN, useValue: deviceSeen },
      { provide: PUSH_LOGGER, useValue: logger },
    ],
    start: async () => {
      await untilAvailable(config, logger, () => registry.start());
      answers.start();
      dispatcher.start();
      prune.start();
    },
    drain: async () => {
      registry.stop();
      await Promise.all([answers.stop(), dispatcher.stop(), prune.stop()]);
    },
  };
}

function measureQueue(metrics: Metrics, store: DispatchStore): void {
  metrics.gauge(
    'sync_dispatch_devices',
    'Devices with accepted mutations that wait for their outcome.',
    [],
    async (gauge) => gauge.set(await store.countDevices()),
  );
}

function admissionOf(
  types: Registry,
  bindings: DeviceBindings,
  { refusedTags }: PushMetrics,
  logger: Logger,
): Admission {
  return {
    types,
    tags: new VerifyTags(bindings),
    noteRefused: ({ tenantId, userId, deviceId }, { code, when, mutationIds }) => {
      refusedTags.inc({ code, when }, mutationIds.length);
      const some = mutationIds.slice(0, 20);
      const fields = { tenantId, userId, deviceId, mutationIds: some, when, event: code };
      logger.warn(fields, 'tags were refused');
    },
  };
}

function ledgerOf({ config, requestDatabase }: Foundation): LedgerStore {
  return new LedgerStore(requestDatabase, {
    visibleMs: config.pushTakeoverMs,
    maxOpen: MAX_OPEN_PER_DEVICE,
    listsMutations: config.mutationEvents,
  });
}
