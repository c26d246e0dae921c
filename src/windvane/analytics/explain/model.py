"""An explained answer as plain values; `Explained.json` is what the API sends and what incidents keep.

Times are Unix seconds. References say where a claim can be looked up: a PromQL query over a time, a trace, a version
of the configuration, a service.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias

Language = Literal["en", "zh"]
LANGUAGES: tuple[Language, ...] = ("en", "zh")
EvidenceKind = Literal["series", "edge", "trace", "self-time", "flags", "codes", "change", "version", "demand"]
CauseKind = Literal["service", "way", "unreachable", "caller", "demand"]
Signal = Literal["errors", "latency", "rate"]
ChangeKind = Literal["configuration", "version", "replicas", "split"]


@dataclass(frozen=True, slots=True)
class QueryRef:
    """PromQL over a time."""

    query: str
    start: int
    end: int
    kind: Literal["query"] = "query"


@dataclass(frozen=True, slots=True)
class TraceRef:
    """A trace by its id."""

    id: str
    kind: Literal["trace"] = "trace"


@dataclass(frozen=True, slots=True)
class VersionRef:
    """A version of the configuration by its number."""

    number: int
    kind: Literal["version"] = "version"


@dataclass(frozen=True, slots=True)
class ServiceRef:
    """A service."""

    namespace: str
    name: str
    kind: Literal["service"] = "service"


Ref: TypeAlias = QueryRef | TraceRef | VersionRef | ServiceRef


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing seen that speaks for a cause; `at` where it has a moment."""

    kind: EvidenceKind
    text: str
    at: float | None = None
    ref: Ref | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of the paragraph; its claim can be looked up at `ref`."""

    text: str
    ref: Ref | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """Something that changed at a time.

    `service` (NAME.NAMESPACE) is whom it concerns, "" where that is nobody in question; `relevance` (0 to 1) how
    directly it does.
    """

    at: float
    kind: ChangeKind
    text: str
    ref: Ref | None = None
    service: str = ""
    relevance: float = 0.0


@dataclass(frozen=True, slots=True)
class Only:
    """What of a service is concerned, where the rest of it is fine: `by` is version, workload or pod."""

    by: str
    value: str


@dataclass(frozen=True, slots=True)
class Reason:
    """A cause and the evidence for it.

    `usual` and `now` are milliseconds a call, the share that failed, or requests a minute, as its `signal` is: the
    symptom's, unless the answer had to go on along another (failures that are timeouts are followed as time).
    """

    service: str
    namespace: str
    caller: str | None
    kind: CauseKind
    text: str
    explains: float
    confidence: float
    departure: float
    usual: float
    now: float
    calls_per_minute: float
    path: Sequence[str]
    signal: Signal = "errors"
    flags: dict[str, float] = field(default_factory=dict)
    only: Only | None = None
    evidence: Sequence[Evidence] = ()


@dataclass(frozen=True, slots=True)
class Explained:
    """The whole answer. `since` is the first minute at its worst, `onset` when it began as exactly as is known.

    `abstained`: nothing deviates, and `notes` say what was looked at.
    """

    service: str
    namespace: str
    signal: Signal | None
    since: int | None
    at: int
    onset: float | None = None
    causes: Sequence[Reason] = ()
    notes: Sequence[str] = ()
    abstained: bool = False
    explanation: Sequence[Segment] = ()
    changes: Sequence[Change] = ()
    language: Language = "en"

    @property
    def paragraph(self) -> str:
        """The explanation as text."""
        return "".join(one.text for one in self.explanation)

    def json(self) -> dict[str, Any]:
        """The answer as JSON's values."""
        return asdict(self)
