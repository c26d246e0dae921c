"""What to change in an application that loses trace context: which headers to hand on, and how in its language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from windvane.tracing.propagation.formats import REQUEST_ID, W3C, Format

LANGUAGES = {
    "python": "Python", "go": "Go", "java": "Java", "nodejs": "Node.js", "webjs": "Node.js", "dotnet": ".NET",
    "ruby": "Ruby", "php": "PHP", "rust": "Rust", "cpp": "C++",
}  # fmt: skip
"""Values of telemetry.sdk.language, and how people write them."""


@dataclass(frozen=True, slots=True)
class Advice:
    """`text` for people, the `headers` to hand on, and a `snippet` (`language` "": none is known for it)."""

    text: str
    headers: tuple[str, ...]
    language: str
    snippet: str


def advise(
    formats: Sequence[Format], language: str, *, keeps_request_id: bool, own_traces: bool, shortened: bool
) -> Advice:
    """For a workload that loses the context of these formats (those of its proxy); none known: W3C's."""
    used = list(formats) or [W3C]
    headers = (REQUEST_ID, *dict.fromkeys(name for one in used for name in one.headers))
    propagators = ",".join(one.propagator for one in used if one.propagator)
    text = _why(headers, keeps_request_id=keeps_request_id, own_traces=own_traces, shortened=shortened)
    if propagators:
        text += (
            f" OpenTelemetry's instrumentation does it without a change to code; its OTEL_PROPAGATORS must have"
            f" {propagators}, and handing on {REQUEST_ID} stays the application's."
        )
    template = _SNIPPETS.get("nodejs" if language == "webjs" else language, "")
    named = LANGUAGES.get(language, "") if template else ""
    return Advice(text, headers, named, _filled(template, headers))


def _why(headers: Sequence[str], *, keeps_request_id: bool, own_traces: bool, shortened: bool) -> str:
    names = ", ".join(headers)
    if shortened:
        return f"The application cuts trace ids to 64 bits: let its tracer use 128, and hand on {names} unchanged."
    if own_traces:
        return (
            "The application begins traces of its own: its tracer does not read the header that the sidecar writes."
            f" Let it take the context from a request's {', '.join(headers[1:])}."
        )
    if keeps_request_id:
        return f"The application hands on {REQUEST_ID} alone: copy {', '.join(headers[1:])} to each call as well."
    return f"Copy these headers of a request, unchanged, to each call made for it: {names}."


def _filled(template: str, headers: Sequence[str]) -> str:
    return template.strip("\n").replace("<names>", ", ".join(f'"{name}"' for name in headers))


# One function each: from the headers of the request in hand, those for the calls made for it.
_SNIPPETS = {
    "python": """
TRACE_HEADERS = [<names>]


def trace_headers(request_headers):
    return {name: request_headers[name] for name in TRACE_HEADERS if name in request_headers}


# requests.get(url, headers=trace_headers(request.headers))
# without a change to code: opentelemetry-bootstrap -a install; opentelemetry-instrument python app.py
""",
    "go": """
var traceHeaders = []string{<names>}

func copyTraceHeaders(incoming, outgoing *http.Request) {
	for _, name := range traceHeaders {
		if value := incoming.Header.Get(name); value != "" {
			outgoing.Header.Set(name, value)
		}
	}
}

// with OpenTelemetry: otelhttp.NewHandler around the server's handler, otelhttp.NewTransport in the client,
// and the incoming request's context in http.NewRequestWithContext
""",
    "java": """
static final List<String> TRACE_HEADERS = List.of(<names>);

static void copyTraceHeaders(HttpServletRequest incoming, HttpRequest.Builder outgoing) {
    for (String name : TRACE_HEADERS) {
        String value = incoming.getHeader(name);
        if (value != null) {
            outgoing.header(name, value);
        }
    }
}

// without a change to code: java -javaagent:opentelemetry-javaagent.jar -jar app.jar
""",
    "nodejs": """
const TRACE_HEADERS = [<names>];

function traceHeaders(request) {
  return Object.fromEntries(
    TRACE_HEADERS.filter((name) => request.headers[name] !== undefined).map((name) => [name, request.headers[name]]),
  );
}

// fetch(url, { headers: traceHeaders(request) })
// without a change to code: node --require @opentelemetry/auto-instrumentations-node/register app.js
""",
    "dotnet": """
static readonly string[] TraceHeaders = { <names> };

static void CopyTraceHeaders(HttpRequest incoming, HttpRequestMessage outgoing)
{
    foreach (var name in TraceHeaders)
    {
        if (incoming.Headers.TryGetValue(name, out var values))
        {
            outgoing.Headers.TryAddWithoutValidation(name, values.ToArray());
        }
    }
}

// with OpenTelemetry: services.AddOpenTelemetry().WithTracing(tracing => tracing
//     .AddAspNetCoreInstrumentation().AddHttpClientInstrumentation());
""",
}
