"""External authorizers that listen on this machine are really asked, over HTTP and gRPC, by real Envoys; and a Wasm
module of this machine is run in one of them."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import grpc
from click.testing import CliRunner
from envoy_data_plane.envoy.service.auth.v3 import CheckRequest, CheckResponse
from envoy_data_plane.google.rpc import Status
from wasm_module import adds_header

from windvane.cli import test as windvane_test

MESH = """
apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
metadata: {name: istio, namespace: istio-system}
spec:
  meshConfig:
    extensionProviders:
      - name: http
        envoyExtAuthzHttp:
          {service: http.local, port: 80, pathPrefix: /check, includeRequestHeadersInCheck: ["x-*"],
           includeAdditionalHeadersInCheck: {x-mesh: "yes"}, includeRequestBodyInCheck: {maxRequestBytes: 64},
           headersToUpstreamOnAllow: [x-user], headersToDownstreamOnDeny: [x-why], headersToDownstreamOnAllow: [x-ok]}
      - {name: grpc, envoyExtAuthzGrpc: {service: grpc.local, port: 80}}
      - {name: gone, envoyExtAuthzHttp: {service: gone.local, port: 80, statusOnError: "503"}}
---
"""
PART = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: NAME}
spec:
  hosts: [NAME.local]
  ports: [{number: 80, name: p, protocol: PROTOCOL, targetPort: PORT}]
  resolution: STATIC
  location: MESH_EXTERNAL
  endpoints: [{address: 127.0.0.1}]
---
apiVersion: v1
kind: Service
metadata: {name: by-NAME}
spec: {ports: [{port: 80, name: http}], selector: {app: by-NAME}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: by-NAME}
spec: {labels: {app: by-NAME}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ask-NAME}
spec: {selector: {matchLabels: {app: by-NAME}}, action: CUSTOM, provider: {name: NAME}, rules: [{}]}
---
"""
PLUGIN = """
apiVersion: extensions.istio.io/v1alpha1
kind: WasmPlugin
metadata: {name: marks}
spec:
  selector: {matchLabels: {app: by-grpc}}
  url: file://FILE
  phase: AUTHN
  pluginConfig: {a: 1}
  match: [{mode: SERVER, ports: [{number: 80}]}]
---
"""
TESTS = """
apiVersion: windvane.dev/v1
kind: RequestTests
tests:
  - request: POST http://by-http/a?b=c
    headers: {x-who: alice, other: unseen}
    body: hello
    expect: {status: 200, requestHeaders: {x-user: alice}, responseHeaders: {x-ok: sure}}
  - request: POST http://by-http/a?b=c
    headers: {x-who: mallory}
    expect:
      {status: 401, refusedBy: "default/ask-http, rule 0, external authorizer http", responseHeaders: {x-why: unknown}}
  - request: GET http://by-grpc/
    headers: {x-who: alice}
    expect: {status: 200, requestHeaders: {x-marked: by-a-module}}
  - request: GET http://by-grpc/
    expect: {status: 403, refusedBy: external authorizer grpc}
  - request: GET http://by-gone/
    expect: {status: 503, refusedBy: "external authorizer gone, which did not answer"}
"""


class Judge(BaseHTTPRequestHandler):
    """Knows alice, and notes what it was asked."""

    asked: list[tuple[str, dict[str, str], bytes]]

    def do_POST(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        type(self).asked.append((self.path, headers, self.rfile.read(int(headers.get("content-length", "0")))))
        known = headers.get("x-who") == "alice"
        self.send_response(200 if known else 401)
        for name, value in {"x-user": "alice", "x-ok": "sure"}.items() if known else [("x-why", "unknown")]:
            self.send_header(name, value)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def http_judge() -> Iterator[tuple[int, type[Judge]]]:
    kind = type("OneJudge", (Judge,), {"asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_address[1], kind
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def check(raw: bytes, _: grpc.ServicerContext) -> bytes:
    request = CheckRequest.parse(raw)
    assert request.attributes is not None
    assert request.attributes.request is not None
    assert request.attributes.request.http is not None
    known = request.attributes.request.http.headers.get("x-who") == "alice"
    return bytes(CheckResponse(status=Status(code=0 if known else 7)))


@contextmanager
def grpc_judge() -> Iterator[int]:
    server = grpc.server(ThreadPoolExecutor(1))
    handler = grpc.method_handlers_generic_handler(
        "envoy.service.auth.v3.Authorization", {"Check": grpc.unary_unary_rpc_method_handler(check)}
    )
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(0).wait()


def part(name: str, protocol: str, port: int) -> str:
    return PART.replace("NAME", name).replace("PROTOCOL", protocol).replace("PORT", str(port))


def test_authorizers_on_this_machine_are_asked_and_modules_are_run(tmp_path: Path) -> None:
    with http_judge() as (http, judge), grpc_judge() as over_grpc, socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        text = MESH + part("http", "HTTP", http) + part("grpc", "GRPC", over_grpc)
        text += part("gone", "HTTP", nobody.getsockname()[1])
        module = tmp_path / "marks.wasm"
        module.write_bytes(adds_header("x-marked", "by-a-module"))
        text += PLUGIN.replace("FILE", str(module))
        file = tmp_path / "mesh.yaml"
        file.write_text(text + TESTS, encoding="utf-8")
        done = CliRunner().invoke(windvane_test.command, [str(file), "--output", "json"])
        found = json.loads(done.stdout_bytes)["tests"]
    assert [(each["name"], each["failures"], each["error"]) for each in found if not each["passed"]] == []
    path, headers, body = judge.asked[0]
    assert (path, body) == ("/check/a?b=c", b"hello")
    assert (headers["x-who"], headers["x-mesh"], headers.get("other")) == ("alice", "yes", None)
