import { type ReactNode, createContext, useContext } from 'react';
import type { JsonValue } from '@sync/domain';
import { type ConflictTexts, ENGLISH, readableName } from './texts.ts';

/** How an app shows its own data. */
export interface ViewSettings {
  readonly texts: ConflictTexts;
  /** What a field is called. */
  readonly fieldName: (field: string) => string;
  /** Undefined: as the view would show it. */
  readonly renderValue: (field: string, value: JsonValue) => ReactNode;
  /**
   * A time within a sentence, such as `on 4 March at 14:02`.
   * @param iso RFC 3339
   */
  readonly formatTime: (iso: string) => string;
}

export const DEFAULTS: ViewSettings = {
  texts: ENGLISH,
  fieldName: readableName,
  renderValue: () => undefined,
  formatTime: (iso) =>
    `on ${new Date(iso).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' })}`,
};

export const Settings = createContext<ViewSettings>(DEFAULTS);
export const useSettings = (): ViewSettings => useContext(Settings);
