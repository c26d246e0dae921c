"""How a listener ends TLS: its certificates are Secrets, of other namespaces where a ReferenceGrant allows it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from windvane.mesh.credentials import name_in_full, problems
from windvane.mesh.gateway_api.conditions import Condition, key_of
from windvane.mesh.gateway_api.surroundings import Surroundings
from windvane.mesh.models import ServerTLSSettings, gateway_api
from windvane.mesh.models.gateway_api.gateway import SecretObjectReference
from windvane.mesh.yaml_source import Path

_MODE = "gateway.istio.io/tls-terminate-mode"
"""An option of a listener's TLS: whether clients are asked for certificates, and of whom."""
_MODES = {"MUTUAL": "MUTUAL", "OPTIONAL_MUTUAL": "OPTIONAL_MUTUAL"}
_MOST = 2


def server_tls(
    gateway: gateway_api.Gateway, index: int, around: Surroundings
) -> tuple[ServerTLSSettings | None, list[Condition]]:
    """TLS of a Gateway's listener, and which of its certificates cannot be used.

    A listener with certificates of which none can be used has conditions and no TLS: it is not served.
    """
    tls = gateway.spec.listeners[index].tls
    if tls is None or gateway.spec.listeners[index].protocol not in ("HTTPS", "TLS"):
        return None, []
    if tls.mode == "Passthrough":
        return ServerTLSSettings(mode="PASSTHROUGH"), []
    if tls.options.get(_MODE) == "ISTIO_MUTUAL":
        return ServerTLSSettings(mode="ISTIO_MUTUAL"), []
    names, conditions = _credentials(gateway, index, around)
    if not names:
        return None, conditions or [_condition(gateway, index, "InvalidCertificateRef", "no certificate is given")]
    given: dict[str, Any] = {"mode": _MODES.get(tls.options.get(_MODE, ""), "SIMPLE")}
    given |= {"credential_name": names[0]} if len(names) == 1 else {"credential_names": tuple(names)}
    return ServerTLSSettings(**given), conditions


def _credentials(gateway: gateway_api.Gateway, index: int, around: Surroundings) -> tuple[list[str], list[Condition]]:
    """The certificates that can be used, by Istio's names of them."""
    tls = gateway.spec.listeners[index].tls
    refs = tls.certificate_refs if tls is not None else ()
    if len(refs) > _MOST:
        words = f"TLS mode can only support up to {_MOST} server certificates"
        return [], [_condition(gateway, index, "InvalidCertificateRef", words, ("certificateRefs",))]
    names: list[str] = []
    conditions: list[Condition] = []
    for number, ref in enumerate(refs):
        wrong = next(_wrong(gateway, ref, around), None)
        if wrong is None:
            names.append(name_in_full(_namespace(gateway, ref), ref.name))
        else:
            conditions.append(_condition(gateway, index, *wrong, ("certificateRefs", number)))
    return names, conditions


def _wrong(gateway: gateway_api.Gateway, ref: SecretObjectReference, around: Surroundings) -> Iterator[tuple[str, str]]:
    """Why a certificate cannot be used: reason and words."""
    namespace = _namespace(gateway, ref)
    said = f"invalid certificate reference {ref.group}/{ref.kind}/{ref.name}.{ref.namespace or ''}"
    if (ref.group, ref.kind) != ("", "Secret"):
        yield "InvalidCertificateRef", f"{said}, only secret is allowed"
        return
    own = (gateway_api.GROUP, "Gateway")
    granted = around.is_granted(own, gateway.namespace, ("", "Secret", namespace, ref.name))
    if namespace != gateway.namespace and not granted:
        words = f"certificateRef {ref.name}/{namespace} not accessible to a Gateway in namespace "
        yield "RefNotPermitted", f'{words}"{gateway.namespace}" (missing a ReferenceGrant?)'
    secret = around.secrets.get(f"{namespace}/{ref.name}")
    if secret is None:
        yield "InvalidCertificateRef", f"{said}, secret {namespace}/{ref.name} not found"
    else:
        for wrong in problems(secret):
            yield "InvalidCertificateRef", f"{said}, {wrong}"


def _namespace(gateway: gateway_api.Gateway, ref: SecretObjectReference) -> str:
    return gateway.namespace if ref.namespace is None else ref.namespace


def _condition(gateway: gateway_api.Gateway, index: int, reason: str, words: str, place: Path = ()) -> Condition:
    path: Path = ("spec", "listeners", index, "tls", *place)
    return Condition(key_of(gateway), "WV0503", "ResolvedRefs", reason, words, path)
