/** Apart from the states themselves, which Node cannot load. */
export const STATE_NAMES = [
  ...(['open', 'baseUnknown', 'nested', 'serverDeleted', 'deviceDeleted', 'suggested'] as const),
  ...([
    'document',
    'documentNotCompared',
    'documentRefused',
    'hidden',
    'appendOnly',
    'autoResolved',
    'resolved',
    'documentDecided',
    'documentRefusedDecided',
    'documentRefusedByRule',
    'hiddenDecided',
  ] as const),
  ...(['offline', 'readOnly', 'moved', 'elsewhere', 'rejected', 'noAnswer', 'sending', 'saved'] as const),
] as const;
export type StateName = (typeof STATE_NAMES)[number];

/** States that come about by saving: everything is taken from one side before. */
export const AFTER_SAVING: readonly StateName[] = [
  'moved',
  'elsewhere',
  'rejected',
  'noAnswer',
  'sending',
  'saved',
];
