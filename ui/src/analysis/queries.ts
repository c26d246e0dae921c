/** From a row of an answer to the query that finds its traces. */

import type { CohortProperty, Named } from "../api/analysis";
import { withCondition, withTerm, writeKey, writeValue } from "../traces/querySyntax";

/** The query, and one span of this operation. */
export const ofOperation = (q: string, { service, operation }: Named): string => {
  const own = withTerm(q, "service", `:${writeValue(service)}`);
  return operation ? withTerm(own, "name", `:${writeValue(operation)}`) : own;
};

/** The query narrowed to traces with a property that tells two sets apart.
 *
 * One span must meet all of it, so what the query says of service and name gives way where the property says otherwise.
 */
export function withProperty(q: string, { kind, key, value }: CohortProperty): string {
  if (kind === "operation") return ofOperation(q, { service: key, operation: value });
  if (kind === "failing")
    return withTerm(ofOperation(q, { service: key, operation: value }), "status", ":error");
  if (kind === "edge") return withTerm(q, "service", `:${writeValue(value)}`);
  if (kind === "duration") {
    const range = `:[${key ? `${key}ms` : "*"} TO ${/^[\d.]+$/.test(value) ? `${value}ms` : "*"}]`;
    return withTerm(q, "duration", range);
  }
  const [scope, name] = scoped(key);
  const written = writeKey(name, scope);
  return withCondition(withTerm(q, written, ""), `${written}:${writeValue(value)}`);
}

function scoped(key: string): [scope: string, name: string] {
  const match = /^(span|resource|scope|event|link)\.(.+)$/.exec(key);
  return match ? [match[1]!, match[2]!] : ["", key];
}
