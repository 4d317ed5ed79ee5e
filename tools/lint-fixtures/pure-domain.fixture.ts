// lint as: libs/domain/src/reads-the-world.ts
import { readFile } from 'node:fs/promises'; // expect: no-restricted-imports
import { createHash } from 'crypto'; // expect: no-restricted-imports
import { connect } from '@nats-io/transport-node'; // expect: @nx/enforce-module-boundaries
import { Injectable } from '@nestjs/common'; // expect: @nx/enforce-module-boundaries
import { Pool } from 'pg'; // expect: @nx/enforce-module-boundaries
import { DataSource } from 'typeorm'; // expect: @nx/enforce-module-boundaries
import { Database } from '@sync/postgres'; // expect: @nx/enforce-module-boundaries
import { LIMITS } from '@sync/protocol'; // expect: @nx/enforce-module-boundaries
import { mergeClocks } from '@sync/vector-clock';

export const imported = [readFile, createHash, connect, Injectable, Pool, DataSource, Database, LIMITS, mergeClocks];
export const readsTheClock = [Date.now(), new Date()]; // expect: no-restricted-properties, no-restricted-syntax
export const readsAGivenTime = new Date(0);
export const isRandom = Math.random(); // expect: no-restricted-properties
export const readsTheEnvironment = process.argv; // expect: no-restricted-globals
setTimeout(() => undefined, 1); // expect: no-restricted-globals
