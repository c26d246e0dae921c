"""A service of the mesh in plain Python: greets, with a quote from another service.

It knows nothing of Envoy, certificates or Windvane. HOST and PORT say where to listen; urllib takes
the sidecar from http_proxy by itself. One thing every service of a mesh has to do: hand the trace
headers of a request on to the requests made for it.
"""

import json
import os
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TRACE_HEADERS = ("traceparent", "tracestate", "baggage", "x-request-id", "b3", "x-b3-traceid", "x-b3-spanid",
                 "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags")  # fmt: skip


class Greeter(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        headers = {name: self.headers[name] for name in TRACE_HEADERS if name in self.headers}
        request = urllib.request.Request("http://quotes.hello:8080/today", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310  our own http URL
                quote = len(answer.read())
        except OSError as error:
            self.answer(502, {"error": str(error)})
        else:
            self.answer(200, {"greeting": "hello", "quote_bytes": quote, "trace": headers.get("traceparent")})

    def answer(self, status: int, value: dict) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Greeter).serve_forever()
