/** The PromQL that the console asks, built in one place. */

export type Matcher = string | { re: string } | { not: string };
export type Matchers = Record<string, Matcher>;
export type Reporter = "source" | "destination";

export const REQUESTS = "istio_requests_total";
export const DURATION = "istio_request_duration_milliseconds";
export const TCP_SENT = "istio_tcp_sent_bytes_total";
export const TCP_RECEIVED = "istio_tcp_received_bytes_total";
export const TCP_OPENED = "istio_tcp_connections_opened_total";

/** What tells how requests ended: enough for rate, errors, codes and flags from one answer. */
export const OUTCOME = ["response_code", "grpc_response_status", "response_flags", "request_protocol"];

export function selector(metric: string, matchers: Matchers): string {
  const parts = Object.entries(matchers).map(([label, matcher]) => {
    if (typeof matcher === "string") return `${label}=${quote(matcher)}`;
    return "re" in matcher ? `${label}=~${quote(matcher.re)}` : `${label}!=${quote(matcher.not)}`;
  });
  return `${metric}{${parts.join(",")}}`;
}

export function rateBy(metric: string, matchers: Matchers, by: string[], window: number): string {
  const inner = `rate(${selector(metric, matchers)}[${window}s])`;
  return by.length ? `sum by (${by.join(",")}) (${inner})` : `sum(${inner})`;
}

export function quantile(q: number, matchers: Matchers, by: string[], window: number): string {
  return `histogram_quantile(${q}, ${rateBy(`${DURATION}_bucket`, matchers, ["le", ...by], window)})`;
}

export function quote(text: string): string {
  return `"${text.replace(/\\/g, "\\\\").replace(/"/g, '\\"').replace(/\n/g, "\\n")}"`;
}

/** What a graph node stands for, as label matchers for one side of its traffic. */
export interface Target {
  kind: "workload" | "app" | "service";
  namespace: string;
  workload?: string;
  app?: string;
  version?: string;
  service?: string;
}

export function inboundMatchers(target: Target): Matchers {
  if (target.kind === "service") {
    return {
      destination_service_name: target.service ?? "",
      destination_service_namespace: target.namespace,
    };
  }
  return sideMatchers("destination", target);
}

export const outboundMatchers = (target: Target): Matchers => sideMatchers("source", target);

function sideMatchers(side: "source" | "destination", target: Target): Matchers {
  const matchers: Matchers = { [`${side}_workload_namespace`]: target.namespace };
  if (target.kind === "workload" && target.workload) matchers[`${side}_workload`] = target.workload;
  else if (target.kind === "service") matchers[`${side}_canonical_service`] = target.service ?? "";
  else {
    matchers[`${side}_canonical_service`] = target.app ?? "";
    if (target.version) matchers[`${side}_canonical_revision`] = target.version;
  }
  return matchers;
}
