// lint as: libs/documents/src/knows-a-database.ts
import { randomUUID } from 'node:crypto'; // expect: no-restricted-imports
import { Database } from '@sync/postgres'; // expect: @nx/enforce-module-boundaries
import { Injectable } from '@nestjs/common'; // expect: @nx/enforce-module-boundaries
import { LIMITS } from '@sync/protocol'; // expect: @nx/enforce-module-boundaries
import { mergeClocks } from '@sync/vector-clock';

export const imported = [randomUUID, Database, Injectable, LIMITS, mergeClocks];
