/** Rendered where there is no device: in Node, to text. */
import { expect, it } from '@jest/globals';
import { createElement } from 'react';
import { renderToString } from 'react-dom/server';
import { FIELDS } from '../conflict/testing/example-records.ts';
import { ConflictInbox, ConflictView, SyncProvider, useSyncStatus } from '../index.ts';

function Status() {
  return createElement('p', null, useSyncStatus().state);
}

it('shows on a server what a page shows before its client is open', () => {
  const inbox = renderToString(
    createElement(SyncProvider, { client: null }, createElement(Status), createElement(ConflictInbox)),
  );
  expect(inbox).toContain('<p>stopped</p>');
  expect(inbox).toContain('Looking for conflicts');
  const view = renderToString(
    createElement(ConflictView, { conflict: FIELDS, onResolve: async () => undefined }),
  );
  expect(view).toContain('Two versions of this note');
});

it('says that there is no provider', () => {
  expect(() => renderToString(createElement(Status))).toThrow('There is no SyncProvider');
});
