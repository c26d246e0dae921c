"""Which protocol a port carries, from what Kubernetes and Istio let people write."""

from __future__ import annotations

_KNOWN = ("http", "http2", "https", "grpc", "grpc-web", "tcp", "tls", "mongo", "mysql", "redis")
_ALIASES = {
    "kubernetes.io/h2c": "http2",
    "kubernetes.io/ws": "http",
    "kubernetes.io/wss": "https",
    "http/1.1": "http",
    "h2c": "http2",
    "mongodb": "mongo",
}


def is_http(protocol: str) -> bool:
    """Whether requests (not only connections) are seen where this protocol is spoken."""
    return protocol in ("http", "http2", "grpc", "grpc-web")


def named_protocol(text: str) -> str:
    """The protocol that a word names: `HTTP`, `grpc-web`, `kubernetes.io/h2c`; empty when it names none."""
    word = text.lower()
    word = _ALIASES.get(word, word)
    return word if word in _KNOWN else ""


def port_protocol(name: str, app_protocol: str = "") -> str:
    """The protocol of a port: `appProtocol` decides, else the name up to its first hyphen.

    A port that says neither is TCP here; Istio would look at the first bytes (finding IST0118 says so).
    """
    prefix = "grpc-web" if name.lower().startswith("grpc-web") else name.partition("-")[0]
    return named_protocol(app_protocol) or named_protocol(prefix) or "tcp"
