"""How fields are read: protojson's rules, Go durations, oneofs, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from windvane.mesh.models import KINDS, Resource, VirtualService, gateway_api
from windvane.mesh.models.base import json_name
from windvane.mesh.models.destination_rule import OutlierDetection
from windvane.mesh.models.virtual_service import HTTPRedirect, HTTPRetry, HTTPRoute


def errors(model: type[BaseModel], value: object) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(value)
    return [error["type"] for error in caught.value.errors()]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1.5s", 1.5),
        ("250ms", 0.25),
        ("1m30s", 90.0),
        ("1h", 3600.0),
        ("0s", 0.0),
        ("0", 0.0),
        ("1us", 1e-6),
        ("5ns", 5e-9),
        (".5s", 0.5),
        ("-2s", -2.0),
        ("+2s", 2.0),
    ],
)
def test_durations_are_gos(text: str, seconds: float) -> None:
    assert HTTPRoute.model_validate({"timeout": text}).timeout == seconds


@pytest.mark.parametrize("text", ["", "s", "1", "1 s", "1d", "1.s.", "--1s", "1s2", 5, 1.5, True, ["1s"]])
def test_other_durations_are_refused(text: object) -> None:
    assert errors(HTTPRoute, {"timeout": text}) == ["duration"]


@given(st.integers(0, 10**7))
def test_duration_in_milliseconds_is_exact(milliseconds: int) -> None:
    assert HTTPRoute.model_validate({"timeout": f"{milliseconds}ms"}).timeout == milliseconds / 1000


def test_both_names_of_a_field_are_read() -> None:
    assert HTTPRetry.model_validate({"perTryTimeout": "1s"}) == HTTPRetry.model_validate({"per_try_timeout": "1s"})
    assert OutlierDetection.model_validate({"consecutive5xxErrors": 3}).consecutive_5xx_errors == 3
    assert OutlierDetection.model_validate({"consecutive_5xx_errors": 3}).consecutive_5xx_errors == 3


def test_a_field_under_both_names_is_refused() -> None:
    assert errors(HTTPRetry, {"perTryTimeout": "1s", "per_try_timeout": "1s"}) == ["duplicate_field"]


def test_null_means_not_set() -> None:
    assert HTTPRoute.model_validate({"timeout": None, "route": None, "delegate": None}) == HTTPRoute()


@pytest.mark.parametrize(
    "value",
    [
        {"redirect": {"uri": "/"}, "route": []},
        {"fault": {"abort": {"httpStatus": 500, "grpcStatus": "OK"}}},
        {"match": [{"uri": {"exact": "a", "regex": "b"}}]},
        {"directResponse": {"body": {"string": "", "bytes": ""}}},
    ],
)
def test_oneofs_hold_one(value: object) -> None:
    assert errors(HTTPRoute, value) == ["one_of"]


def test_a_field_that_nobody_knows_is_refused() -> None:
    assert errors(HTTPRedirect, {"prefixes": {}}) == ["extra_forbidden"]


def test_values_are_not_converted() -> None:
    assert errors(HTTPRetry, {"attempts": "3"}) == ["int_type"]
    assert errors(HTTPRetry, {"attempts": True}) == ["int_type"]
    assert errors(HTTPRetry, {"attempts": 2**31}) == ["less_than"]
    assert errors(HTTPRoute, {"name": 1}) == ["string_type"]


def test_models_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        HTTPRoute().name = "other"  # type: ignore[misc]


def messages(model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """A model and every message in it."""
    found = {model.__name__: model}
    for field in model.model_fields.values():
        for part in _parts(field.annotation):
            if part.__name__ not in found:
                found |= messages(part)
    return found


def _parts(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [part for argument in getattr(annotation, "__args__", ()) for part in _parts(argument)]


@pytest.mark.parametrize(
    "kind", [*KINDS.values(), *gateway_api.KINDS.values()], ids=lambda kind: f"{kind[1][0]} {kind[0].__name__}"
)
def test_every_field_has_its_proto_name_and_its_json_name(kind: tuple[type[Resource], tuple[str, ...]]) -> None:
    exceptions = {"clusterIP", "clusterIPs", "externalIPs", "loadBalancerIP"}  # Kubernetes' own spelling
    for model in messages(kind[0]).values():
        for name, field in model.model_fields.items():
            spelled = name.removesuffix("_")  # from_: the proto's `from` is a word of Python
            assert field.alias == json_name(spelled) or field.alias in exceptions
            assert not name.startswith("_")


def test_resources_know_their_place() -> None:
    item = VirtualService.model_validate(
        {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "a"}}
    )
    item.locate("mesh.yaml", 7, "shop")
    assert (item.file, item.line, item.namespace, item.reference) == ("mesh.yaml", 7, "shop", "VirtualService shop/a")
