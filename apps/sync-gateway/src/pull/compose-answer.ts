import { storableJsonText } from '@sync/domain';
import type { AckResult } from '@sync/protocol';
import type { NoteRow, PageRow, PullRow } from './pull-store.ts';

/** One scope of an answer, with its cursor already minted. */
export interface AnsweredPage {
  readonly scope: string;
  readonly reset: boolean;
  /** RemoteDeltas as JSON text, comma-separated, without brackets, in parts. */
  readonly parts: readonly string[];
  readonly cursor: string;
  readonly hasMore: boolean;
  readonly count: string;
  readonly hash: string;
}

/** A pull's answer before it is text. */
export interface PullAnswer {
  readonly pages: readonly AnsweredPage[];
  readonly revoked: readonly string[];
  /** Outcomes as JSON text, comma-separated, without brackets. */
  readonly outcomes: string;
  readonly directives: readonly { readonly reason: string; readonly scopes: readonly string[] }[];
  readonly granted: readonly string[];
}

/** @param mint gives the cursor of a page */
export function answerOfRows(rows: readonly PullRow[], mint: (page: PageRow) => string): PullAnswer {
  const pages: AnsweredPage[] = [];
  const revoked: string[] = [];
  const granted: string[] = [];
  const due = new Map<string, string[]>();
  let outcomes = '';
  for (const row of rows) {
    if (row.kind === 'scope') pages.push(answeredPage(row, mint(row)));
    else if (row.kind === 'revoked') revoked.push(row.scope ?? '');
    else if (row.kind === 'granted') granted.push(row.scope ?? '');
    else if (row.kind === 'outcomes') outcomes = storableJsonText(row.items ?? '');
    else if (row.kind === 'directive') noteDirective(due, row);
  }
  const directives = [...due].map(([reason, scopes]) => ({ reason, scopes }));
  return { pages, revoked, outcomes, directives, granted };
}

function answeredPage(row: PageRow, cursor: string): AnsweredPage {
  return {
    scope: row.scope,
    reset: row.reason !== null,
    parts: row.parts,
    cursor,
    hasMore: row.has_more,
    count: row.live_count,
    hash: row.hash,
  };
}

function noteDirective(due: Map<string, string[]>, row: NoteRow): void {
  const reason = row.reason ?? '';
  const scopes = due.get(reason) ?? [];
  scopes.push(row.scope ?? '');
  due.set(reason, scopes);
}

/**
 * A PullResponse as JSON text, in pieces to be written one after the other. Deltas and outcomes are put in as
 * the text they are stored as: parsing and printing them again would be most of the cost of a pull. Scopes,
 * cursors and hashes are of alphabets that need no escaping; counts are decimal text.
 * @param acked what became of the ack in the pull; absent: there was none
 */
export function answerPieces(answer: PullAnswer, serverTime: string, acked?: AckResult): string[] {
  const directives = answer.directives.map(
    ({ reason, scopes }) =>
      `{"kind":"full_resync","scopes":${names(scopes)},"reason":${JSON.stringify(reason)}}`,
  );
  const granted = answer.granted.length > 0 ? `,"granted":${names(answer.granted)}` : '';
  const pieces = [`{"serverTime":"${serverTime}","scopes":[`];
  for (const [index, page] of answer.pages.entries()) addPage(pieces, page, index > 0);
  pieces.push(`],"revoked":${names(answer.revoked)},"outcomes":[`);
  if (answer.outcomes !== '') pieces.push(answer.outcomes);
  const ack = acked ? `,"ack":${JSON.stringify(acked)}` : '';
  pieces.push(`],"directives":[${directives.join(',')}]${granted}${ack}}`);
  return pieces;
}

function addPage(pieces: string[], page: AnsweredPage, follows: boolean): void {
  const { scope, reset, parts, cursor, hasMore, count, hash } = page;
  pieces.push(`${follows ? ',' : ''}{"scope":"${scope}","reset":${reset},"deltas":[`);
  for (const [index, part] of parts.entries()) {
    if (index > 0) pieces.push(',');
    pieces.push(part);
  }
  const digest = hasMore ? '' : `,"digest":{"count":${count},"hash":"${hash}"}`;
  pieces.push(`],"cursor":"${cursor}","hasMore":${hasMore}${digest}}`);
}

function names(scopes: readonly string[]): string {
  return scopes.length === 0 ? '[]' : `["${scopes.join('","')}"]`;
}
