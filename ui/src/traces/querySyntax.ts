/** The query bar's language as far as an editor needs it: its words, what is being written where, and single terms.
 *
 * The server parses; this only colours, completes and edits, and so takes any text without complaint.
 */

export type TokenType =
  "key" | "operator" | "keyword" | "bracket" | "string" | "regex" | "number" | "value" | "word";

export interface Token {
  type: TokenType;
  from: number;
  to: number;
  /** The name that an operator or a value belongs to, as it was written; "" for words on their own. */
  key: string;
  /** How many parentheses are open around it. */
  depth: number;
  /** The name whose list of values it stands in; "" outside of such. */
  list: string;
}

const KEY =
  /(?:(?:resource|span|scope|event|link)\.(?="))?(?:"(?:\\.|[^"\\])*"|(?:\\.|[^\s():=<>~!"\\])+)(?=:|!=|!~|>=|<=|=|>|<|~)/y;
const OPERATOR = /:?(?:!=|!~|>=|<=|=|>|<|~)|:/y;
const KEYWORD = /(?:OR|AND|NOT|TO)(?=[\s()]|$)|\|\||&&/y;
const STRING = /"(?:\\.|[^"\\])*"?/y;
const REGEX = /\/(?:\\.|[^/\\\s])*\/(?=[\s)]|$)/y;
const BARE = /(?:\\.|[^\s()\\])+|\\/y;
const BOUND = /(?:\\.|[^\s()\]}\\])+|\\/y;
const NUMBER = /^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?:[a-zµ]+|[KMGT]i?B?)?$/i;

export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  let key = "";
  let range = false;
  const opened: string[] = [];
  const match = (pattern: RegExp): string | null => {
    pattern.lastIndex = at;
    return pattern.exec(text)?.[0] || null;
  };
  const add = (type: TokenType, length: number) => {
    tokens.push({ type, from: at, to: at + length, key, depth: opened.length, list: opened.at(-1) ?? "" });
    at += length;
  };
  while (at < text.length) {
    const character = text[at]!;
    if (/\s/.test(character)) {
      at += 1;
      if (!range) key = opened.at(-1) ?? "";
    } else if (character === "(") {
      add("bracket", 1);
      opened.push(key);
    } else if (character === ")") {
      opened.pop();
      add("bracket", 1);
      key = opened.at(-1) ?? "";
    } else if (key && (range ? "]}" : "[{").includes(character)) {
      add("bracket", 1);
      range = !range;
    } else if (match(KEYWORD)) {
      add("keyword", match(KEYWORD)!.length);
    } else if (key) {
      const found = match(STRING) ?? match(REGEX);
      const bare = found ? "" : (match(range ? BOUND : BARE) ?? character);
      add(
        found ? (found.startsWith('"') ? "string" : "regex") : NUMBER.test(bare) ? "number" : "value",
        (found ?? bare).length,
      );
    } else if ("-!".includes(character) && text[at + 1] !== undefined && !/\s/.test(text[at + 1]!)) {
      add("keyword", 1);
    } else if (match(KEY)) {
      key = match(KEY)!;
      add("key", key.length);
      add("operator", match(OPERATOR)?.length ?? 1);
    } else {
      const found = match(STRING) ?? match(REGEX);
      const length = (found ?? match(BARE) ?? character).length;
      add(found ? (found.startsWith('"') ? "string" : "regex") : "word", length);
    }
  }
  return tokens;
}

export interface Context {
  /** A name is being written, or a value of `key`. */
  kind: "key" | "value";
  key: string;
  from: number;
  to: number;
  text: string;
}

/** What is being written at a place. */
export function contextAt(text: string, place: number): Context {
  const token = tokenize(text).find((one) => one.from < place && place <= one.to);
  const here = (kind: Context["kind"], key: string, from: number, to: number): Context => ({
    kind,
    key: plainKey(key),
    from,
    to,
    text: text.slice(from, place),
  });
  if (token?.key && token.type === "operator") return here("value", token.key, place, place);
  if (token?.key && (token.type === "value" || token.type === "number" || token.type === "string"))
    return here("value", token.key, token.from, token.to);
  if (token?.type === "word" || token?.type === "key") return here("key", "", token.from, token.to);
  const list = tokenize(text.slice(0, place));
  const last = list[list.length - 1];
  const inside = last?.type === "bracket" && text[last.from] !== ")" ? last.key : (last?.list ?? "");
  return inside ? here("value", inside, place, place) : here("key", "", place, place);
}

/** A key without quotes, as the server's list of fields has it. */
export const plainKey = (key: string): string =>
  key.replace(/"((?:\\.|[^"\\])*)"/, (_, inner: string) => inner.replace(/\\(.)/g, "$1"));

/** A value as it can be written behind an operator: quoted where it would mean something else. */
export function writeValue(value: string): string {
  return /^[\w.@%+,;#][\w.@%+,;#:/-]*$/.test(value) && !/^(?:OR|AND|NOT|TO)$/.test(value)
    ? value
    : quoted(value);
}

const quoted = (text: string): string => `"${text.replace(/["\\]/g, "\\$&")}"`;

/** The name of a field as it can be written: with its scope where it is not a span's own. */
export function writeKey(name: string, scope: string): string {
  const plain = /^[\w.@/-]+$/.test(name) ? name : quoted(name);
  return scope && scope !== "span" ? `${scope}.${plain}` : plain;
}

interface Term {
  from: number;
  to: number;
  key: string;
  /** Operator and value, as they were written. */
  rest: string;
}

/** The conditions that must hold on their own: outside of parentheses, not negated, and no OR beside them. */
export function termsOf(text: string): Term[] {
  const tokens = tokenize(text);
  if (hasEither(text, tokens)) return [];
  return tokens.flatMap((token, index) => {
    const before = tokens[index - 1];
    if (token.type !== "key" || token.depth > 0) return [];
    if (before?.type === "keyword" && /^(?:NOT|-|!)$/.test(text.slice(before.from, before.to))) return [];
    let end = index + 1;
    while (tokens[end + 1] && tokens[end + 1]!.key === token.key && tokens[end + 1]!.type !== "key") end += 1;
    const to = tokens[end]!.to;
    return [{ from: token.from, to, key: plainKey(token.key), rest: text.slice(token.to, to) }];
  });
}

const hasEither = (text: string, tokens: Token[]): boolean =>
  tokens.some(
    (one) => one.type === "keyword" && one.depth === 0 && /^(?:OR|\|\|)$/.test(text.slice(one.from, one.to)),
  );

/** The value that a key must be equal to; "" where the query says nothing so simple. */
export function valueOf(text: string, key: string): string {
  const rest = termsOf(text).find((term) => term.key === key)?.rest ?? "";
  const value = /^[:=](.+)$/.exec(rest)?.[1] ?? "";
  if (value.startsWith('"')) return plainKey(value);
  return /^[([{/]|[*?]/.test(value) ? "" : value;
}

/** The query with this condition in place of those on the same key; `rest` "" takes them out. */
export function withTerm(text: string, key: string, rest: string): string {
  let kept = text;
  for (const term of termsOf(text).reverse()) {
    if (term.key === plainKey(key)) kept = kept.slice(0, term.from) + kept.slice(term.to);
  }
  kept = kept
    .replace(/^\s*(?:AND|&&)\s+|\s+(?:AND|&&)\s*$/g, "")
    .replace(/\s{2,}/g, " ")
    .trim();
  return rest ? withCondition(kept, key + rest) : kept;
}

/** The query and one more condition that must hold too. */
export function withCondition(text: string, condition: string): string {
  const before = text.trim();
  if (!before) return condition;
  return `${hasEither(before, tokenize(before)) ? `(${before})` : before} ${condition}`;
}

/** Microseconds as the language takes a duration: three significant digits are enough to brush by. */
export function writeDuration(micros: number): string {
  const [size, unit] = micros >= 1e6 ? [1e6, "s"] : micros >= 1e3 ? [1e3, "ms"] : [1, "us"];
  return `${Number((micros / (size as number)).toPrecision(3))}${unit}`;
}
