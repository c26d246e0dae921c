"""The ADS protocol as a state machine: order, acknowledgement, rejection, and when nothing is sent."""

from __future__ import annotations

from envoy_data_plane.envoy.service.discovery.v3 import DiscoveryResponse
from envoy_data_plane.google.protobuf import Any as ProtobufAny
from envoy_data_plane.google.protobuf import StringValue
from hypothesis import given, settings
from hypothesis import strategies as st

from windvane.xds.ads import AdsStream
from windvane.xds.discovery import Request
from windvane.xds.resources import CDS, EDS, LDS, RDS, SDS, Bundle, Resource, pack

ALL = (CDS, EDS, LDS, RDS, SDS)


def bundle(**contents: str) -> Bundle:
    return Bundle(resource(name, text) for name, text in contents.items())


def resource(name: str, text: str) -> Resource:
    return pack(name, StringValue(value=f"{name}={text}"))


def texts(response: DiscoveryResponse) -> list[str]:
    return sorted(each.unpack().value for each in response.resources)


class Peer:
    """A proxy at the other end of an AdsStream, with everything in memory."""

    def __init__(self, stream: AdsStream) -> None:
        self.stream = stream
        self.names: dict[str, list[str]] = {}
        self.processed: dict[str, str] = {}

    def taken(self) -> list[DiscoveryResponse]:
        return [DiscoveryResponse.parse(body) for _, body in self.stream.responses()]

    def one(self, type_url: str) -> DiscoveryResponse:
        responses = self.taken()
        assert [each.type_url for each in responses] == [type_url]
        return responses[0]

    def subscribe(self, type_url: str, *names: str, version: str = "") -> None:
        self.names[type_url] = list(names)
        self.stream.receive(
            Request(
                type_url=type_url,
                names=names,
                version=version,
                nonce=self.processed.get(type_url, ""),
            )
        )

    def ack(self, response: DiscoveryResponse, *names: str) -> None:
        if names:
            self.names[response.type_url] = list(names)
        self.stream.receive(
            Request(
                type_url=response.type_url,
                nonce=response.nonce,
                version=response.version_info,
                names=tuple(self.names.get(response.type_url, [])),
            )
        )
        self.processed[response.type_url] = response.nonce

    def nack(self, response: DiscoveryResponse, reason: str) -> None:
        self.stream.receive(
            Request(
                type_url=response.type_url,
                nonce=response.nonce,
                names=tuple(self.names.get(response.type_url, [])),
                rejection=reason,
            )
        )


def synced_peer(**first: Bundle) -> Peer:
    """A proxy that runs cluster `old`, its endpoints, a listener, and routes to it."""
    stream = AdsStream()
    stream.offer({CDS: bundle(old="1"), EDS: bundle(old="e1"), LDS: bundle(door="l1"), RDS: bundle(table="r1")})
    peer = Peer(stream)
    peer.subscribe(CDS)
    peer.ack(peer.one(CDS))
    peer.subscribe(EDS, "old")
    peer.ack(peer.one(EDS))
    peer.subscribe(LDS)
    peer.ack(peer.one(LDS))
    peer.subscribe(RDS, "table")
    peer.ack(peer.one(RDS))
    assert stream.converged
    return peer


def test_nothing_is_sent_that_was_not_asked_for() -> None:
    stream = AdsStream()
    stream.offer({CDS: bundle(a="1"), LDS: bundle(b="1")})
    assert Peer(stream).taken() == []


def test_only_the_named_resources_are_sent() -> None:
    stream = AdsStream()
    stream.offer({EDS: bundle(a="1", b="2")})
    peer = Peer(stream)
    peer.subscribe(EDS, "b", "unknown")
    assert texts(peer.one(EDS)) == ["b=2"]


def test_a_second_request_for_more_names_gets_what_is_new() -> None:
    stream = AdsStream()
    stream.offer({EDS: bundle(a="1", b="2")})
    peer = Peer(stream)
    peer.subscribe(EDS, "a")
    peer.ack(peer.one(EDS), "a", "b")
    assert texts(peer.one(EDS)) == ["b=2"]


def test_unchanged_configuration_is_not_sent_again() -> None:
    peer = synced_peer()
    peer.stream.offer({CDS: bundle(old="1"), EDS: bundle(old="e1"), LDS: bundle(door="l1"), RDS: bundle(table="r1")})
    assert peer.taken() == []


def test_a_change_of_endpoints_sends_endpoints_alone() -> None:
    peer = synced_peer()
    peer.stream.offer({EDS: bundle(old="e2")})
    assert texts(peer.one(EDS)) == ["old=e2"]


def test_routes_wait_until_a_new_cluster_and_its_endpoints_are_acknowledged() -> None:
    peer = synced_peer()
    peer.stream.offer({CDS: bundle(old="1", new="1"), EDS: bundle(old="e1", new="n1"), RDS: bundle(table="r2")})
    clusters = peer.one(CDS)
    # Envoy asks for the new cluster's endpoints before it acknowledges the cluster.
    peer.subscribe(EDS, "old", "new")
    endpoints = peer.one(EDS)
    assert texts(endpoints) == ["new=n1"]
    peer.ack(endpoints)
    assert peer.taken() == []
    peer.ack(clusters)
    assert texts(peer.one(RDS)) == ["table=r2"]


def test_a_cluster_goes_only_after_the_routes_that_used_it() -> None:
    peer = synced_peer()
    peer.stream.offer({CDS: bundle(new="1"), EDS: bundle(new="n1"), RDS: bundle(table="r2")})
    both = peer.one(CDS)
    assert texts(both) == ["new=1", "old=1"]
    peer.ack(both)
    peer.subscribe(EDS, "old", "new")
    responses = {each.type_url: each for each in peer.taken()}
    peer.ack(responses[EDS])
    routes = peer.one(RDS)
    peer.ack(routes)
    last = peer.one(CDS)
    assert texts(last) == ["new=1"]
    peer.ack(last)
    peer.subscribe(EDS, "new")
    assert peer.stream.converged


def test_a_changed_cluster_gets_its_endpoints_again() -> None:
    """Envoy makes the cluster anew and keeps it cold until endpoints arrive, changed or not."""
    peer = synced_peer()
    peer.stream.offer({CDS: bundle(old="2")})
    clusters, endpoints = peer.taken()
    assert texts(clusters) == ["old=2"]
    assert texts(endpoints) == ["old=e1"]


def test_an_answer_to_an_older_response_is_ignored() -> None:
    peer = synced_peer()
    peer.stream.offer({EDS: bundle(old="e2")})
    first = peer.one(EDS)
    peer.ack(first)
    peer.stream.offer({EDS: bundle(old="e3")})
    second = peer.one(EDS)
    peer.ack(first)
    assert peer.stream.types[EDS].acked == first.version_info
    peer.ack(second)
    assert peer.stream.types[EDS].acked == second.version_info


def test_edits_while_an_answer_is_due_become_one() -> None:
    peer = synced_peer()
    peer.stream.offer({EDS: bundle(old="e2")})
    first = peer.one(EDS)
    for number in range(3, 9):
        peer.stream.offer({EDS: bundle(old=f"e{number}")})
        assert peer.taken() == []
    peer.ack(first)
    assert texts(peer.one(EDS)) == ["old=e8"]


def test_a_rejection_keeps_the_old_version_and_its_reason_and_is_not_repeated() -> None:
    peer = synced_peer()
    before = peer.stream.types[LDS].acked
    peer.stream.offer({LDS: bundle(door="bad")})
    bad = peer.one(LDS)
    peer.nack(bad, "no such filter")
    state = peer.stream.types[LDS]
    assert (state.acked, state.rejected, state.reason) == (before, bad.version_info, "no such filter")
    assert not peer.stream.converged
    peer.stream.offer({LDS: bundle(door="bad")})
    assert peer.taken() == []
    peer.stream.offer({LDS: bundle(door="good")})
    peer.ack(peer.one(LDS))
    assert (state.rejected, state.reason) == ("", "")


def test_after_rejected_clusters_routes_stay_as_they_are() -> None:
    peer = synced_peer()
    peer.stream.offer({CDS: bundle(old="bad"), RDS: bundle(table="r2")})
    clusters, endpoints = peer.taken()
    peer.ack(endpoints)
    peer.nack(clusters, "bad cluster")
    assert peer.taken() == []


def test_what_was_rejected_comes_again_with_the_next_change_of_its_type() -> None:
    stream = AdsStream()
    stream.offer({RDS: bundle(a="bad", b="1")})
    peer = Peer(stream)
    peer.subscribe(RDS, "a", "b")
    peer.nack(peer.one(RDS), "bad")
    stream.offer({RDS: bundle(a="bad", b="2")})
    assert texts(peer.one(RDS)) == ["a=bad", "b=2"]


def test_what_was_given_up_and_is_asked_for_again_is_sent_again() -> None:
    stream = AdsStream()
    stream.offer({EDS: bundle(a="1", b="2")})
    peer = Peer(stream)
    peer.subscribe(EDS, "a", "b")
    peer.ack(peer.one(EDS))
    peer.subscribe(EDS, "a")
    assert peer.taken() == []
    peer.subscribe(EDS, "a", "b")
    assert texts(peer.one(EDS)) == ["b=2"]


def test_a_proxy_that_comes_back_with_the_same_version_is_told_nothing() -> None:
    peer = synced_peer()
    version = peer.stream.types[CDS].acked
    stream = AdsStream()
    stream.offer({CDS: bundle(old="1")})
    again = Peer(stream)
    again.subscribe(CDS, version=version)
    assert again.taken() == []
    assert stream.converged


def test_a_proxy_that_comes_back_with_another_version_is_told_everything() -> None:
    stream = AdsStream()
    stream.offer({CDS: bundle(old="1")})
    again = Peer(stream)
    again.subscribe(CDS, version="something else")
    assert texts(again.one(CDS)) == ["old=1"]


def test_types_nobody_knows_are_ignored() -> None:
    stream = AdsStream()
    assert not stream.receive(Request(type_url="type.googleapis.com/envoy.service.runtime.v3.Runtime"))
    assert Peer(stream).taken() == []


contents = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("123"), max_size=4)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(contents, contents, contents, contents, st.booleans()), min_size=1, max_size=5))
def test_whatever_the_edits_the_proxy_ends_with_the_last_one(
    edits: list[tuple[dict[str, str], dict[str, str], dict[str, str], dict[str, str], bool]],
) -> None:
    """A proxy that acknowledges everything, asking for the endpoints and routes of what it has."""
    stream = AdsStream()
    peer = Peer(stream)
    proxy: dict[str, dict[str, str]] = {type_url: {} for type_url in ALL}

    def apply(response: DiscoveryResponse) -> None:
        new = dict(text.split("=") for text in texts(response))
        kept = {} if response.type_url in (CDS, LDS) else proxy[response.type_url]
        proxy[response.type_url] = {**kept, **new}
        peer.ack(response)
        follows = {CDS: EDS, LDS: RDS}.get(response.type_url)
        if follows is not None:
            peer.subscribe(follows, *sorted(proxy[response.type_url]))

    for type_url in (CDS, EDS, LDS, RDS):
        peer.subscribe(type_url)
    for clusters, _, listeners, _, drain in edits:
        desired = {
            CDS: clusters,
            EDS: {name: f"e{text}" for name, text in clusters.items()},
            LDS: listeners,
            RDS: {name: f"r{text}" for name, text in listeners.items()},
        }
        stream.offer({type_url: bundle(**content) for type_url, content in desired.items()})
        for _ in range(40 if drain else 2):
            for response in peer.taken():
                apply(response)
    for _ in range(40):
        for response in peer.taken():
            apply(response)
    assert proxy[CDS] == desired[CDS]
    assert proxy[LDS] == desired[LDS]
    assert {name: proxy[EDS].get(name) for name in desired[CDS]} == desired[EDS]
    assert {name: proxy[RDS].get(name) for name in desired[LDS]} == desired[RDS]
    assert stream.converged


def test_a_resource_is_framed_as_a_response_field() -> None:
    made = resource("a", "x" * 300)
    response = DiscoveryResponse.parse(b"".join(made.frame))
    assert response.resources == [ProtobufAny.parse(made.body)]
