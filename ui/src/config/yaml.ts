/** A line of YAML cut into what it is made of, for colours. Only for looking at: nothing is parsed. */

export interface Token {
  kind: "key" | "text" | "number" | "comment" | "plain";
  text: string;
}

const KEY = /^(\s*(?:- )*)((?:"[^"]*"|'[^']*'|[^\s#'"{[&*][^:#]*?))(:)(?=\s|$)/;
const PIECE =
  /(#.*$)|("(?:[^"\\]|\\.)*"|'(?:[^']|'')*')|((?<![\w.-])-?\d+(?:\.\d+)?(?:ms|s|m|h|%)?(?![\w.-])|(?<![\w.-])(?:true|false|null)(?![\w.-]))|([A-Za-z_][\w./-]*(?=:\s))/g;

export function tokens(line: string): Token[] {
  const key = KEY.exec(line);
  const found: Token[] = [];
  let rest = line;
  if (key) {
    found.push(
      { kind: "plain", text: key[1]! },
      { kind: "key", text: key[2]! },
      { kind: "plain", text: ":" },
    );
    rest = line.slice(key[0].length);
  }
  let at = 0;
  for (const match of rest.matchAll(PIECE)) {
    if (match[1] && match.index > 0 && !/\s/.test(rest[match.index - 1]!)) continue;
    if (match.index > at) found.push({ kind: "plain", text: rest.slice(at, match.index) });
    const kind = match[1] ? "comment" : match[2] ? "text" : match[3] ? "number" : "key";
    found.push({ kind, text: match[0] });
    at = match.index + match[0].length;
  }
  if (at < rest.length) found.push({ kind: "plain", text: rest.slice(at) });
  return found.filter((token) => token.text !== "");
}
