"""How a listener ends TLS: its certificates are Secrets, of other namespaces where a ReferenceGrant allows it."""

from __future__ import annotations

from windvane.mesh.gateway_api.conditions import Condition, key_of
from windvane.mesh.gateway_api.surroundings import Surroundings
from windvane.mesh.models import ServerTLSSettings, gateway_api
from windvane.mesh.yaml_source import Path

_MODE = "gateway.istio.io/tls-terminate-mode"
_MODES = {"MUTUAL": "MUTUAL", "OPTIONAL_MUTUAL": "OPTIONAL_MUTUAL"}
_MOST = 2


def server_tls(
    gateway: gateway_api.Gateway, index: int, around: Surroundings
) -> tuple[ServerTLSSettings | None, list[Condition]]:
    """TLS of a Gateway's listener, and which of its certificates cannot be used where none can."""
    tls = gateway.spec.listeners[index].tls
    if tls is None or gateway.spec.listeners[index].protocol not in ("HTTPS", "TLS"):
        return None, []
    if tls.mode == "Passthrough":
        return ServerTLSSettings(mode="PASSTHROUGH"), []
    if tls.options.get(_MODE) == "ISTIO_MUTUAL":
        return ServerTLSSettings(mode="ISTIO_MUTUAL"), []
    path: Path = ("spec", "listeners", index, "tls")
    words = "certificates from Secrets are not supported yet"
    return None, [Condition(key_of(gateway), "WV0503", "ResolvedRefs", "InvalidCertificateRef", words, path)]
