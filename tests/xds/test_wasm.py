"""WasmPlugins stand among other filters as Istio's phases say.

That a module is run: tests/local/test_trial_authorizers.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from xds_mesh import snapshot_of

from windvane.xds.configuration import configuration
from windvane.xds.resources import LDS

EVERYTHING = (Path(__file__).parents[1] / "mesh" / "data" / "good" / "wasm.yaml").read_text(encoding="utf-8")


def listeners(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The filters of each listener's first chain: of connections, then of requests."""
    snapshot = snapshot_of(EVERYTHING, folder)
    proxy = snapshot.proxy("web.shop")
    assert proxy is not None
    found = {}
    for each in configuration(proxy, snapshot)[LDS]:
        network = each.to_dict()["filter_chains"][0]["filters"]
        found[each.name] = [*network[:-1], *network[-1]["typed_config"].get("http_filters", ())]
    return found


def own(filters: list[dict[str, Any]]) -> list[str]:
    """Names of the plugins, and of what they stand between."""
    kept = ("jwt_authn", "rbac", "router")
    names = [
        each["name"].removeprefix("envoy.filters.http.").removeprefix("envoy.filters.network.") for each in filters
    ]
    return [name for name in names if "." in name or name in kept]


def test_phases_priorities_and_matches(tmp_path: Path) -> None:
    found = listeners(tmp_path)
    assert own(found["inbound|80||"]) == [
        "shop.network", "shop.all-of-it", "shop.later", "jwt_authn", "istio-system.authz", "rbac",
        "shop.stats", "shop.last", "router",
    ]  # fmt: skip
    assert own(found["inbound|81||"]) == ["rbac", "shop.network"]
    assert own(found["http_proxy"]) == ["shop.later", "istio-system.authz", "shop.stats", "shop.last", "router"]
    assert own(found["outbound|81||web.shop.svc.cluster.local"]) == ["shop.network"]


def test_what_a_module_is_told(tmp_path: Path) -> None:
    [plugin] = [each for each in listeners(tmp_path)["inbound|80||"] if each["name"] == "shop.all-of-it"]
    config = plugin["typed_config"]["config"]
    assert (config["name"], config["root_id"], config["failure_policy"]) == ("shop.all-of-it", "root", "FAIL_OPEN")
    assert config["configuration"]["value"] == '{"a":[1,{"b":null}]}'
    machine = config["vm_config"]
    assert machine["code"] == {"local": {"filename": "/dev/null"}}
    assert machine["environment_variables"] == {"host_env_keys": ["HOME"], "key_values": {"A": "b"}}
