"""Policies that ask an external authorizer, or do nothing but tell: what keeps them from doing so."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from windvane.mesh.attachment import governed
from windvane.mesh.authorizers import Located, located
from windvane.mesh.checks.references import Registry
from windvane.mesh.decode import Loaded
from windvane.mesh.findings import Finding
from windvane.mesh.models import AuthorizationPolicy
from windvane.mesh.view import MeshView

_PROVIDER = ("spec", "provider", "name")


def authorizers(loaded: Sequence[Loaded], registry: Registry) -> Iterator[Finding]:
    """WV0601, WV0602, WV0604 and WV0605."""
    asking: list[tuple[Loaded, AuthorizationPolicy]] = []
    for item in loaded:
        policy = item.resource
        if not isinstance(policy, AuthorizationPolicy):
            continue
        if policy.is_dry_run and policy.spec.action in ("CUSTOM", "AUDIT"):
            words = f"a dry run is of ALLOW and DENY alone: with {policy.spec.action} this policy does nothing"
            yield item.finding("WV0605", words, ("metadata", "annotations", "istio.io/dry-run"))
        elif policy.spec.action == "CUSTOM" and policy.spec.provider is not None and policy.spec.provider.name:
            asking.append((item, policy))
            yield from _of_provider(item, policy.spec.provider.name, registry.view)
    yield from _several(asking, registry.view)


def _of_provider(item: Loaded, name: str, view: MeshView) -> Iterator[Finding]:
    if view.extension_providers is None:
        words = (
            f"what extensionProvider {name!r} is, the mesh's configuration says: an IstioOperator or ConfigMap istio "
        )
        words += "among the files, or --mesh-config. Without it, what these rules match is refused"
        yield item.finding("WV0602", words, _PROVIDER)
        return
    found = located(view, name)
    if not isinstance(found, Located):
        yield item.finding("WV0601", f"{found}: what these rules match is refused", _PROVIDER)


def _several(asking: Sequence[tuple[Loaded, AuthorizationPolicy]], view: MeshView) -> Iterator[Finding]:
    """Istio lets one workload have one provider, unless a flag of its control plane says otherwise."""
    providers: dict[str, set[str]] = defaultdict(set)
    for _, policy in asking:
        for workload in _workloads(policy, view):
            providers[workload].add(policy.spec.provider.name if policy.spec.provider else "")
    for item, policy in asking:
        clashing = next((key for key in _workloads(policy, view) if len(providers[key]) > 1), None)
        if clashing is not None:
            names = ", ".join(sorted(providers[clashing]))
            words = f"policies name several external authorizers for workload {clashing} ({names}): what they match is "
            yield item.finding("WV0604", words + "refused", _PROVIDER)


def _workloads(policy: AuthorizationPolicy, view: MeshView) -> list[str]:
    everywhere = policy.namespace == view.root_namespace
    return [each.key for each in governed(view, policy.namespace, policy.spec, everywhere=everywhere)]
