/** Where in a query a message of the server points to. */

export interface Place {
  /** Both from one. */
  line: number;
  column: number;
  message: string;
  severity: "error" | "warning" | "info";
}

const BEFORE = /^(?:invalid parameter "query": )?(\d+):(\d+): (?:parse error: )?(.*)$/s;
const AFTER = /^(.*?)\s*\((\d+):(\d+)\)$/s;

/** Prometheus puts a parse error's place before its text ("1:5: parse error: …"), an annotation's after ("… (1:5)"). */
export function placeOf(text: string, severity: Place["severity"]): Place | null {
  const before = BEFORE.exec(text);
  if (before) return { line: Number(before[1]), column: Number(before[2]), message: before[3]!, severity };
  const after = AFTER.exec(text);
  return after ? { line: Number(after[2]), column: Number(after[3]), message: after[1]!, severity } : null;
}

/** The places of an answer's or an error's messages. */
export function placesOf(messages: { error?: string; warnings?: string[]; infos?: string[] }): Place[] {
  const all = [
    ...(messages.error ? [placeOf(messages.error, "error" as const)] : []),
    ...(messages.warnings ?? []).map((text) => placeOf(text, "warning")),
    ...(messages.infos ?? []).map((text) => placeOf(text, "info")),
  ];
  return all.filter((place) => place !== null);
}
