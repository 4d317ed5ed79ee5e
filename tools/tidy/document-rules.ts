import type { ProjectFile, Rule } from './workspace.ts';

/** Of a line of text; code, tables and links may need more. */
export const MAX_DOCUMENT_COLUMNS = 110;
/** A longer one is a paragraph, which is read more easily below the table. */
export const MAX_CELL_CHARACTERS = 160;

interface Finding {
  readonly line: number;
  readonly message: string;
}

export const documentLineLength: Rule = documentRule('document-line-length', (line) => {
  const mayBeLong = line.startsWith('|') || /\]\(|https?:/.test(line);
  return mayBeLong || line.length <= MAX_DOCUMENT_COLUMNS
    ? null
    : `${line.length} columns, of ${MAX_DOCUMENT_COLUMNS}`;
});

export const tableCellLength: Rule = documentRule('table-cell-length', (line) => {
  if (!line.startsWith('|')) return null;
  const cells = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
  // Of a row of dashes the length is that of the column.
  const longest = Math.max(...cells.map((cell) => (/^:?-+:?$/.test(cell) ? 0 : cell.length)));
  return longest <= MAX_CELL_CHARACTERS ? null : `a cell of ${longest} characters, of ${MAX_CELL_CHARACTERS}`;
});

/** @param fault of a line of a markdown file that is not code, without its indentation; null: none */
function documentRule(name: string, fault: (line: string) => string | null): Rule {
  return {
    name,
    check: (files) =>
      files
        .filter(({ path }) => path.endsWith('.md'))
        .flatMap((file) => findings(file, fault).map((found) => ({ rule: name, path: file.path, ...found }))),
  };
}

function findings({ text }: ProjectFile, fault: (line: string) => string | null): Finding[] {
  let isCode = false;
  return text.split('\n').flatMap((line, index) => {
    const isFence = line.trimStart().startsWith('```');
    if (isFence) isCode = !isCode;
    // Indentation of lists counts as columns, and hides no table.
    const message = isCode || isFence ? null : fault(line.trimStart().startsWith('|') ? line.trim() : line);
    return message === null ? [] : [{ line: index + 1, message }];
  });
}
