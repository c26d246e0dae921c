/** `key=value key2="two words"`: the way people type span tags into a search box. */

export interface Parsed {
  tags: Record<string, string>;
  /** The part that could not be read; empty when all was well. */
  problem: string;
}

export function parseLogfmt(text: string): Parsed {
  const tags: Record<string, string> = {};
  const token = /\s*([^\s=]+)=("(?:[^"\\]|\\.)*"|\S*)/y;
  let at = 0;
  while (at < text.length) {
    if (text.slice(at).trim() === "") break;
    token.lastIndex = at;
    const match = token.exec(text);
    if (!match) return { tags, problem: text.slice(at).trim() };
    tags[match[1]!] = unquote(match[2]!);
    at = token.lastIndex;
  }
  return { tags, problem: "" };
}

export function writeLogfmt(tags: Record<string, string>): string {
  return Object.entries(tags)
    .map(([key, value]) => `${key}=${/[\s"=]/.test(value) || value === "" ? JSON.stringify(value) : value}`)
    .join(" ");
}

function unquote(value: string): string {
  if (!value.startsWith('"')) return value;
  return value.slice(1, -1).replace(/\\(.)/g, "$1");
}
