"""Envoy resources encoded once, and bundles of them with a version made from their content.

Making and encoding a message takes about a millisecond, so builders are cached on specs:
small frozen values that hold everything a resource is made of. An equal spec is the same bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import betterproto2
from envoy_data_plane.google import protobuf

from windvane.xds.encoding import any_of, encode, varint

CDS = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
EDS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
LDS = "type.googleapis.com/envoy.config.listener.v3.Listener"
RDS = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
SDS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"

SHORT_NAMES = {CDS: "cds", EDS: "eds", LDS: "lds", RDS: "rds", SDS: "sds"}
_RESOURCES_FIELD = b"\x12"  # field 2 of DiscoveryResponse, length-delimited


@dataclass(frozen=True, slots=True)
class Resource:
    """A named resource. `parts` together are its google.protobuf.Any: resources may share what they have in common."""

    name: str
    parts: tuple[bytes, ...] = field(repr=False)
    digest: bytes = field(repr=False)

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)

    @property
    def frame(self) -> tuple[bytes, ...]:
        """The resource as a field of a DiscoveryResponse, in parts."""
        return (_RESOURCES_FIELD + varint(sum(map(len, self.parts))), *self.parts)

    def to_dict(self) -> dict[str, Any]:
        """The resource as JSON-ready values, with `@type` and the proto's field names: for goldens and for people."""
        return dict(protobuf.Any.parse(self.body).to_dict(casing=cast("betterproto2.Casing", str)))


def pack(name: str, message: betterproto2.Message) -> Resource:
    """Encode a message as a resource."""
    return joined(name, encode(any_of(message)))


def joined(name: str, *parts: bytes) -> Resource:
    """A resource whose google.protobuf.Any is these bytes, one after another."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part)
    return Resource(name, parts, digest.digest())


class Bundle:
    """Resources of one type for one proxy; `version` is equal exactly when the content is."""

    __slots__ = ("_resources", "version")

    def __init__(self, resources: Iterable[Resource] = ()) -> None:
        self._resources = {resource.name: resource for resource in resources}
        digest = hashlib.blake2b(digest_size=8)
        for name in sorted(self._resources):
            digest.update(self._resources[name].digest)
        self.version = digest.hexdigest()

    def __iter__(self) -> Iterator[Resource]:
        return iter(self._resources.values())

    def __len__(self) -> int:
        return len(self._resources)

    def __contains__(self, name: str) -> bool:
        return name in self._resources

    def get(self, name: str) -> Resource | None:
        return self._resources.get(name)

    def only(self, names: Iterable[str]) -> Bundle:
        """The part of this bundle that has these names: the bundle itself when that is all of it."""
        names = frozenset(names)
        if self._resources.keys() <= names:
            return self
        return Bundle(self._resources[name] for name in names if name in self._resources)

    def over(self, other: Bundle) -> Bundle:
        """This bundle, and what only `other` has."""
        return Bundle([*self, *(resource for resource in other if resource.name not in self._resources)])
