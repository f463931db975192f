// A rule about comments: a reader who meets one alone must see what it is about, so it begins with its subject.
// The rule takes one file and returns sentences, one per breach; an empty list is a pass.

import ts from 'typescript';
import { isCode, isShell, lineOf, parse, type ProjectFile } from './files';

const withoutSubject = /^(It|Its|Who|Whom|Whoever|What|They|Nor)\b/;

interface Comment {
  readonly line: number;
  readonly text: string;
}

/** The first line of each comment; lines of `//` or `#` below one another are one comment. */
export function readComments(file: ProjectFile): Comment[] {
  return isShell(file) ? readShellComments(file) : readCodeComments(file);
}

function readShellComments({ text }: ProjectFile): Comment[] {
  const lines = text.split('\n').map((line) => /^\s*#(?!!)\s*(.*)$/.exec(line)?.[1] ?? null);
  return lines.flatMap((line, index) =>
    line !== null && (lines[index - 1] ?? null) === null ? [{ line: index + 1, text: line }] : [],
  );
}

function readCodeComments(file: ProjectFile): Comment[] {
  const source = parse(file);
  const comments: Comment[] = [];
  let lineBelow = 0;
  for (const { pos, end, kind } of findRanges(source)) {
    const line = lineOf(source, pos);
    const isAlone = source.text.slice(source.getPositionOfLineAndCharacter(line - 1, 0), pos).trim() === '';
    const isLine = kind === ts.SyntaxKind.SingleLineCommentTrivia && isAlone;
    if (!isLine || line !== lineBelow) comments.push({ line, text: firstWords(source.text.slice(pos, end)) });
    lineBelow = isLine ? line + 1 : 0;
  }
  return comments;
}

/** In order; the compiler keeps comments only as gaps before and behind tokens, and shows some in both. */
function findRanges(source: ts.SourceFile): ts.CommentRange[] {
  const found = new Map<number, ts.CommentRange>();
  const visit = (node: ts.Node): void => {
    const before = ts.getLeadingCommentRanges(source.text, node.getFullStart()) ?? [];
    const behind = ts.getTrailingCommentRanges(source.text, node.end) ?? [];
    for (const range of [...before, ...behind]) found.set(range.pos, range);
    node.getChildren(source).forEach(visit);
  };
  visit(source);
  return [...found.values()].sort((left, right) => left.pos - right.pos);
}

function firstWords(comment: string): string {
  return comment.replace(/^\/[/*]+[\s*]*/, '').split('\n', 1)[0]!;
}

export function checkSubjects(file: ProjectFile): string[] {
  if (!isCode(file)) return [];
  return readComments(file).flatMap(({ line, text }) => {
    const word = withoutSubject.exec(text)?.[0];
    return word ? [`${file.path}:${line}: a comment begins with "${word}": name its subject`] : [];
  });
}
