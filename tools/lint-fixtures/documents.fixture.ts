// lint as: libs/documents/src/knows-a-database.ts
import { Database } from '@sync/postgres'; // expect: @nx/enforce-module-boundaries
import { Injectable } from '@nestjs/common'; // expect: @nx/enforce-module-boundaries
import { LIMITS } from '@sync/protocol'; // expect: @nx/enforce-module-boundaries
import { mergeClocks } from '@sync/vector-clock';

export const imported = [Database, Injectable, LIMITS, mergeClocks];
