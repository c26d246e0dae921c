"""`windvane xds`: the Envoy configuration that a proxy would get."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

import click
import yaml

from windvane.cli.mesh_files import load_view, mesh_files
from windvane.cli.output import print_json
from windvane.kit.errors import NotFoundError
from windvane.local.placement import imagined_placement
from windvane.xds.configuration import configuration
from windvane.xds.proxy import Proxy
from windvane.xds.resources import CDS, EDS, LDS, RDS, Bundle
from windvane.xds.snapshot import MeshSettings, Snapshot

_TYPES = {"listeners": LDS, "routes": RDS, "clusters": CDS, "endpoints": EDS}
_FILTERS = "http-filters"


@click.command("xds")
@mesh_files
@click.option("--workload", "-w", required=True, metavar="NAME.NAMESPACE", help="Whose proxy.")
@click.option("--type", "kind", type=click.Choice([*_TYPES, _FILTERS, "all"]), default="all", show_default=True)
@click.option("--name", default="", help="Only resources whose name contains this.")
@click.option("--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True, help="How to print.")
def command(**given: Any) -> None:
    """Print what the proxy of a workload would get, from Istio and Kubernetes YAML.

    Addresses are what a local mesh could use; a running mesh's own are in its run directory. Keys and
    certificates are not part of it.
    """
    view = load_view(given["paths"], given["namespace"], given["root_namespace"], given["mesh_config"])
    snapshot = Snapshot(view, imagined_placement(view), MeshSettings())
    made = configuration(_proxy(snapshot, given["workload"]), snapshot)
    kind = given["kind"]
    wanted = [*_TYPES, _FILTERS] if kind == "all" else [kind]
    found = {each: _resources(made, each, given["name"]) for each in wanted if kind != "all" or each != _FILTERS}
    value = found if kind == "all" else found[kind]
    if given["output"] == "json":
        print_json(value)
    else:
        yaml.safe_dump(value, sys.stdout, sort_keys=False, width=120, allow_unicode=True)


def _proxy(snapshot: Snapshot, workload: str) -> Proxy:
    proxy = snapshot.proxy(workload)
    if proxy is None:
        known = ", ".join(sorted(snapshot.placement.places)) or "none"
        raise NotFoundError(f"no proxy of a workload {workload!r} (there are: {known})")
    return proxy


def _resources(made: Mapping[str, Bundle], kind: str, name: str) -> list[dict[str, Any]]:
    bundle = made[_TYPES.get(kind, LDS)]
    shown = [each.to_dict() for each in bundle if name in each.name]
    return [_http_filters(listener) for listener in shown] if kind == _FILTERS else shown


def _http_filters(listener: Mapping[str, Any]) -> dict[str, Any]:
    """The HTTP filters of a listener, in their order, by filter chain."""
    chains = []
    for chain in _chains(listener):
        for network in chain.get("filters", ()):
            filters = network.get("typed_config", {}).get("http_filters")
            if filters:
                match = chain.get("filter_chain_match", {})
                chains.append({"filter_chain": chain.get("name", ""), "match": match, "http_filters": filters})
    return {"listener": listener["name"], "filter_chains": chains}


def _chains(listener: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    yield from listener.get("filter_chains", ())
    if "default_filter_chain" in listener:
        yield listener["default_filter_chain"]
