/** A block of a guide that names its file: ```ts file=path */
export interface GuideBlock {
  readonly file: string;
  readonly code: string;
}

export function guideBlocks(guide: string): GuideBlock[] {
  return [...guide.matchAll(/```ts file=(\S+)\n([\s\S]*?)```/g)].map(([, file = '', code = '']) => ({
    file,
    code,
  }));
}

/** What the guide says that its commands print. */
export function printedBy(guide: string): string | undefined {
  return /prints\n\n```\n([\s\S]*?)```/.exec(guide)?.[1];
}
