"""Patches of EnvoyFilters that change nothing: found by making the configuration of the proxies they are for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from windvane.mesh.decode import Loaded
from windvane.mesh.findings import Finding
from windvane.mesh.models.envoy_filter import EnvoyFilter
from windvane.mesh.view import MeshView


def idle_patches(loaded: Sequence[Loaded], view: MeshView) -> Iterator[Finding]:
    """WV0610. Configuration without workloads is a part of a mesh whose workloads are elsewhere: nothing is said."""
    filters = {item.resource.reference: item for item in loaded if isinstance(item.resource, EnvoyFilter)}
    if not filters or not view.workloads:
        return
    # Control planes and proxies are large to import, and few meshes have EnvoyFilters.
    from windvane.local.placement import imagined_placement  # noqa: PLC0415
    from windvane.xds.envoy_filters.survey import survey  # noqa: PLC0415
    from windvane.xds.snapshot import MeshSettings, Snapshot  # noqa: PLC0415

    for idle in survey(Snapshot(view, imagined_placement(view), MeshSettings())):
        path = ("spec", "configPatches", idle.index)
        yield filters[idle.owner].finding("WV0610", f"this changes nothing: {idle.reason}", path)
