/** The one place that talks HTTP. Every failure becomes an `ApiError` with a sentence to show. */

export type FailureKind = "network" | "timeout" | "http" | "format";

export class ApiError extends Error {
  readonly kind: FailureKind;
  readonly status: number;

  constructor(kind: FailureKind, message: string, status = 0) {
    super(message);
    this.kind = kind;
    this.status = status;
  }
}

export type Query = Record<string, string | number | boolean | null | undefined>;

const TIMEOUT_MS = 30_000;

export function url(path: string, query: Query = {}): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") params.set(key, String(value));
  }
  const text = params.toString();
  return text ? `${path}?${text}` : path;
}

export const getJson = <T>(path: string, query: Query, signal: AbortSignal): Promise<T> =>
  askJson(path, url(path, query), {}, signal);

export const postJson = <T>(path: string, body: unknown, signal: AbortSignal): Promise<T> =>
  askJson(
    path,
    path,
    { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json" } },
    signal,
  );

async function askJson<T>(path: string, address: string, init: RequestInit, signal: AbortSignal): Promise<T> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  let response: Response;
  let body: string;
  try {
    response = await fetch(address, {
      ...init,
      signal: AbortSignal.any([signal, timeout]),
      headers: { accept: "application/json", ...init.headers },
    });
    body = await response.text();
  } catch (error) {
    if (signal.aborted) throw error;
    if (timeout.aborted) throw new ApiError("timeout", `${path}: no answer in ${TIMEOUT_MS / 1000} s`);
    throw new ApiError("network", error instanceof Error ? error.message : String(error));
  }
  const json = parse(body);
  if (!response.ok)
    throw new ApiError(
      "http",
      messageOf(json) ?? `${response.status} ${response.statusText}`,
      response.status,
    );
  if (json === undefined) throw new ApiError("format", `${path}: the answer is not JSON`, response.status);
  return json as T;
}

function parse(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/** The sentence inside an error of Windvane's, Prometheus's or Jaeger's shape. */
export function messageOf(json: unknown): string | null {
  if (typeof json !== "object" || json === null) return null;
  const body = json as { error?: unknown; errors?: unknown };
  if (typeof body.error === "string") return body.error;
  const inner = body.error as { message?: unknown } | undefined;
  if (inner && typeof inner.message === "string") return inner.message;
  const first = Array.isArray(body.errors) ? (body.errors[0] as { msg?: unknown } | undefined) : undefined;
  return first && typeof first.msg === "string" ? first.msg : null;
}
