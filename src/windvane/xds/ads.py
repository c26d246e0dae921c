"""The ADS protocol of one proxy (state of the world), without any I/O: requests in, responses out.

Order keeps traffic whole. Clusters go first; Envoy acknowledges them once they are warm, which needs
their endpoints, so endpoints are never held back. Listeners and routes wait until clusters and
endpoints are acknowledged. Clusters that are to go stay until listeners and routes have let go of
them. A rejected type is not sent again until its content changes, and holds back what depends on it:
the proxy stays on its old configuration as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count

from windvane.xds.discovery import Request, response
from windvane.xds.resources import CDS, EDS, LDS, RDS, SDS, Bundle, Resource

ORDER = (SDS, CDS, EDS, LDS, RDS)
_WAITS_FOR = {LDS: (CDS, EDS), RDS: (CDS, EDS)}
_NOTHING = Bundle()
_WHOLE = (CDS, LDS)
"""Types of which a response holds every resource there is; of the others, those that changed."""


@dataclass(slots=True)
class TypeState:
    """What one proxy was told of one type. Versions are content hashes; "" is none.

    `names` are what the proxy asks for (all when the type is not asked for by name); `held` is what it
    has acknowledged, `offered` what it has yet to answer; `refresh` are names it needs again although they
    did not change.
    """

    subscribed: bool = False
    names: tuple[str, ...] = ()
    held: Bundle = field(default_factory=Bundle)
    offered: Bundle | None = None
    nonce: str = ""
    sent: str = ""
    acked: str = ""
    rejected: str = ""
    reason: str = ""
    refresh: set[str] = field(default_factory=set)
    wanted: tuple[object, object, Bundle] | None = None

    @property
    def waiting(self) -> bool:
        """Whether an answer is due."""
        return self.offered is not None

    def derive(self, base: Bundle, other: object, make: Callable[[], Bundle]) -> Bundle:
        """`make()`, remembered as long as both inputs are the same objects."""
        if self.wanted is None or self.wanted[0] is not base or self.wanted[1] is not other:
            self.wanted = (base, other, make())
        return self.wanted[2]


class AdsStream:
    """The state of one stream. `offer` what the proxy should have, `receive` what it says, send `responses`."""

    def __init__(self) -> None:
        self.types: dict[str, TypeState] = {type_url: TypeState() for type_url in ORDER}
        self._desired: dict[str, Bundle] = {}
        self._nonces = count(1)

    def offer(self, bundles: Mapping[str, Bundle]) -> None:
        """Set what the proxy should have, by type URL; types not named stay as they are."""
        self._desired.update(bundles)

    def receive(self, request: Request) -> bool:
        """Take a request; True when it rejects what was sent. An answer to an older response is ignored."""
        state = self.types.get(request.type_url)
        if state is None or (state.subscribed and request.nonce != state.nonce):
            return False
        first, state.subscribed = not state.subscribed, True
        rejected = self._answered(state, request)
        self._subscribe(request.type_url, request.names)
        if first:
            self._resume(request.type_url, request.version)
        return rejected

    def responses(self) -> Iterator[tuple[str, bytes]]:
        """What to send now: (type URL, DiscoveryResponse bytes). Taking one marks it as sent."""
        for type_url in ORDER:
            body = self._next(type_url)
            if body is not None:
                yield type_url, body

    @property
    def converged(self) -> bool:
        """Whether the proxy has acknowledged everything it should have."""
        return all(self._settled(type_url) for type_url in self._desired)

    def _answered(self, state: TypeState, request: Request) -> bool:
        if state.offered is None:
            return False
        offered, state.offered = state.offered, None
        if request.rejection is not None:
            state.rejected, state.reason = state.sent, request.rejection
            return True
        state.held, state.acked, state.rejected, state.reason = offered, state.sent, "", ""
        return False

    def _subscribe(self, type_url: str, names: tuple[str, ...]) -> None:
        state = self.types[type_url]
        if names != state.names:
            state.names = names
            if type_url not in _WHOLE:
                # A proxy drops what it no longer asks for; should it ask again, it needs it again.
                state.held = state.held.only(names)

    def _resume(self, type_url: str, version: str) -> None:
        """A proxy that connects again says what it has: equal content is not sent again."""
        state, wanted = self.types[type_url], self._wanted(type_url)
        if version and version == wanted.version:
            state.sent = state.acked = version
            state.held = wanted

    def _next(self, type_url: str) -> bytes | None:
        state = self.types[type_url]
        if not state.subscribed or state.waiting or type_url not in self._desired:
            return None
        wanted = self._wanted(type_url)
        news = self._news(type_url, wanted)
        if type_url in _WHOLE:
            told = state.sent == wanted.version
        else:
            told = not news or (state.rejected == wanted.version and not state.refresh)
        if told:
            return None
        if not all(self._settled(other) for other in _WAITS_FOR.get(type_url, ())):
            return None
        return self._send(type_url, wanted, news)

    def _send(self, type_url: str, wanted: Bundle, news: list[Resource]) -> bytes:
        state = self.types[type_url]
        if type_url == CDS:
            # Envoy builds a changed cluster anew and waits for endpoints, also for those it had.
            self.types[EDS].refresh.update(each.name for each in news if each.name in self.types[EDS].held)
        state.nonce, state.sent, state.offered = str(next(self._nonces)), wanted.version, wanted
        state.refresh.clear()
        return response(type_url, wanted if type_url in _WHOLE else news, wanted.version, state.nonce)

    def _news(self, type_url: str, wanted: Bundle) -> list[Resource]:
        """What of `wanted` the proxy does not have, or needs again."""
        state = self.types[type_url]
        if state.held.version == wanted.version and not state.refresh:
            return []
        return [each for each in wanted if _differs(each, state.held.get(each.name)) or each.name in state.refresh]

    def _wanted(self, type_url: str) -> Bundle:
        state, desired = self.types[type_url], self._desired.get(type_url, _NOTHING)
        if type_url == CDS:
            if self._settled(LDS) and self._settled(RDS):
                return desired
            return state.derive(desired, state.held, lambda: desired.over(state.held))
        if type_url == LDS:
            return desired
        return state.derive(desired, state.names, lambda: desired.only(state.names))

    def _settled(self, type_url: str) -> bool:
        """Whether the proxy runs what it should of a type (or does not ask for it)."""
        state = self.types[type_url]
        if not state.subscribed:
            return True
        wanted = self._wanted(type_url)
        same = state.acked == wanted.version if type_url in _WHOLE else not self._news(type_url, wanted)
        return same and not state.waiting


def _differs(resource: Resource, held: Resource | None) -> bool:
    return held is None or held.digest != resource.digest
