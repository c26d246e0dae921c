"""protojson to messages: what is right is what the library reads too, and what is wrong is told with its place."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from envoy_data_plane.envoy.config.cluster.v3 import Cluster, ClusterDiscoveryType
from envoy_data_plane.envoy.config.core.v3 import Metadata
from envoy_data_plane.envoy.extensions.filters.http.lua.v3 import Lua
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter
from hypothesis import given
from hypothesis import strategies as st

from windvane.kit.protojson import message_type, read

LUA = "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def made(kind: Any, value: Any) -> Any:
    message, mistakes = read(kind, value)
    assert mistakes == []
    return message


def test_both_spellings_wrappers_durations_enums_and_maps() -> None:
    cluster = made(
        Cluster,
        {
            "name": "a",
            "connectTimeout": "1.5s",
            "type": "STRICT_DNS",
            "circuit_breakers": {"thresholds": [{"maxRequests": "7", "priority": 1}]},
            "metadata": {"filterMetadata": {"istio": {"a": [1, None, {"b": True}]}}},
            "respect_dns_ttl": True,
            "dnsRefreshRate": None,
        },
    )
    assert cluster.connect_timeout == timedelta(seconds=1.5)
    assert cluster.type == ClusterDiscoveryType.STRICT_DNS
    assert (cluster.circuit_breakers.thresholds[0].max_requests, cluster.dns_refresh_rate) == (7, None)
    assert cluster.metadata.filter_metadata["istio"].to_dict() == {"a": [1, None, {"b": True}]}


def test_an_any_is_the_message_of_its_type() -> None:
    value = {
        "name": "lua",
        "typedConfig": {"@type": LUA, "statPrefix": "x", "sourceCodes": {"a": {"inline_string": "b"}}},
    }
    packed = made(HttpFilter, value).typed_config
    lua = Lua.parse(packed.value)
    assert (packed.type_url, lua.stat_prefix, lua.source_codes["a"].inline_string) == (LUA, "x", "b")
    assert message_type("type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault") is not None


@pytest.mark.parametrize(
    ("kind", "value", "kind_of_mistake", "path", "message"),
    [
        (Cluster, {"nam": "a"}, "unknown field", ("nam",), "unknown field nam of Cluster"),
        (Cluster, [], "wrong value", (), "expected a mapping, got a list"),
        (Cluster, {"name": 1}, "wrong value", ("name",), "expected a string, got 1"),
        (Cluster, {"type": "EDSS"}, "wrong value", ("type",), "expected one of STATIC, "),
        (Cluster, {"connect_timeout": "1m"}, "wrong value", ("connect_timeout",), "a duration in seconds such as 1.5s"),
        (Cluster, {"connect_timeout": f"{10**15}s"}, "wrong value", ("connect_timeout",), "longer than can be told"),
        (Cluster, {"respect_dns_ttl": "yes"}, "wrong value", ("respect_dns_ttl",), "expected true or false"),
        (Cluster, {"type": "EDS", "clusterType": {}}, "wrong value", (), "only one of type, cluster_type may be set"),
        (Cluster, {"health_checks": {}}, "wrong value", ("health_checks",), "expected a list, got a mapping"),
        (Cluster, {"filters": [{"typed_config": {}}]}, "wrong value", ("filters", 0, "typed_config"), "without @type"),
        (Metadata, {"filterMetadata": []}, "wrong value", ("filterMetadata",), "expected a mapping"),
        (Metadata, {"filterMetadata": {"a": 1}}, "wrong value", ("filterMetadata", "a"), "expected a mapping, got 1"),
        (
            HttpFilter,
            {"typed_config": {"@type": "x/stats.PluginConfig"}},
            "unknown type",
            ("typed_config", "@type"),
            "referenced type unknown: x/stats.PluginConfig",
        ),
        (
            HttpFilter,
            {"typed_config": {"@type": LUA, "default_source_code": {"inline_bytes": "?"}}},
            "wrong value",
            ("typed_config", "default_source_code", "inline_bytes"),
            "expected bytes in base64",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    kind: Any, value: Any, kind_of_mistake: str, path: tuple[Any, ...], message: str
) -> None:
    found, [mistake] = read(kind, value)
    assert (mistake.kind, mistake.path) == (kind_of_mistake, path)
    assert message in mistake.message
    assert (found is not None) == (kind_of_mistake == "unknown field")


@pytest.mark.parametrize("value", [-1, 2**32, 1.5, "x", True, float("nan")])
def test_numbers_are_in_the_range_of_their_type(value: Any) -> None:
    _, [mistake] = read(Cluster, {"perConnectionBufferLimitBytes": value})
    assert "expected a " in mistake.message


@given(st.dictionaries(st.sampled_from(["name", "type", "filters", "metadata", "loadAssignment", "lb_policy"]), plain))
def test_any_value_is_a_message_or_mistakes(value: dict[str, Any]) -> None:
    message, mistakes = read(Cluster, value)
    assert message is not None or mistakes
