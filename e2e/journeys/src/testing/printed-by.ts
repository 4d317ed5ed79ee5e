/** What the guide says that its commands print. */
export function printedBy(guide: string): string | undefined {
  return /prints\n\n```\n([\s\S]*?)```/.exec(guide)?.[1];
}
