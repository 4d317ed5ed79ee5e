// lint as: libs/protocol/src/opens-a-socket.ts
import { connect } from '@nats-io/transport-node'; // expect: @nx/enforce-module-boundaries
import { OutboxRelay } from '@sync/messaging'; // expect: @nx/enforce-module-boundaries
import { createHmac } from 'node:crypto'; // expect: no-restricted-imports
import { decide } from '@sync/domain';

export const imported = [connect, OutboxRelay, createHmac, decide];
