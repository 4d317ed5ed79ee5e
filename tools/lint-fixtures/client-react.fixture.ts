// lint as: libs/client-react/src/use-nothing.tsx
import { LIMITS } from '@sync/protocol'; // expect: @typescript-eslint/no-restricted-imports
import { randomUUID } from 'node:crypto'; // expect: no-restricted-imports
import { ModelServer } from '@sync/client/testing'; // expect: no-restricted-imports
import { compareClocks } from '@sync/vector-clock'; // expect: @nx/enforce-module-boundaries
import type { Problem } from '@sync/protocol';
import { MemoryStore } from '@sync/client/memory';
import { useEffect, useState } from 'react';

export const imported = [LIMITS, randomUUID, ModelServer, compareClocks, MemoryStore];
export type Imported = Problem;

export function Nothing({ isOn, text }: { readonly isOn: boolean; readonly text: string }) {
  if (isOn) useState(text); // expect: react-hooks/rules-of-hooks
  useEffect(() => {
    document.title = text;
  }, []); // expect: react-hooks/exhaustive-deps
  return <p>{text}</p>;
}
