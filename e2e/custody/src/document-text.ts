import { mergeUpdates, applyUpdate, Doc, encodeStateAsUpdate, encodeStateVector } from 'yjs';

/** Pieces of text end so; a piece is always written as one, at the edge of another. */
const END = ';';

/** A device's copy of one document, as bytes: so that a backup of the device is a copy of its memory. */
export interface HeldText {
  readonly epoch: number;
  /** base64, a Yjs update of the whole. */
  readonly whole: string;
}

/** What an edit came to. */
export interface TextEdit {
  readonly held: HeldText;
  /** base64, what to push. */
  readonly update: string;
}

export function mergeText(held: HeldText | undefined, epoch: number, update: string): HeldText {
  if (!held || held.epoch < epoch) return { epoch, whole: update };
  if (held.epoch > epoch) return held;
  return { epoch, whole: base64(mergeUpdates([bytesOf(held.whole), bytesOf(update)])) };
}

/** The pieces that the document shows, in their order. */
export function piecesOf(held: HeldText | undefined): string[] {
  return held ? textOf(load(held)).split(END).slice(0, -1) : [];
}

/** Writes a piece behind the one that is there at `place`, counted round. */
export function typePiece(held: HeldText, clientId: number, place: number, piece: string): TextEdit {
  return edit(held, clientId, (doc) => {
    const pieces = textOf(doc).split(END);
    const before = pieces.slice(0, place % pieces.length);
    const at = before.reduce((length, one) => length + one.length + END.length, 0);
    doc.getText('body').insert(at, piece + END);
  });
}

export function erasePiece(held: HeldText, clientId: number, piece: string): TextEdit {
  return edit(held, clientId, (doc) => {
    const at = textOf(doc).indexOf(piece + END);
    doc.getText('body').delete(at, piece.length + END.length);
  });
}

function edit(held: HeldText, clientId: number, change: (doc: Doc) => void): TextEdit {
  const doc = load(held);
  doc.clientID = clientId;
  const before = encodeStateVector(doc);
  change(doc);
  const update = base64(encodeStateAsUpdate(doc, before));
  return { held: { epoch: held.epoch, whole: base64(encodeStateAsUpdate(doc)) }, update };
}

function load({ whole }: HeldText): Doc {
  const doc = new Doc();
  applyUpdate(doc, bytesOf(whole));
  return doc;
}

const textOf = (doc: Doc): string => doc.getText('body').toJSON();
const bytesOf = (text: string): Uint8Array => Buffer.from(text, 'base64');
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
