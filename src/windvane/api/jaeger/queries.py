"""What every face of Jaeger asks, whatever its format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from windvane.kit.clock import Clock
from windvane.kit.errors import NotFoundError
from windvane.store.api import Engine
from windvane.tracing import search, summaries
from windvane.tracing.adjust import adjust
from windvane.tracing.archive import archive, read_kept
from windvane.tracing.dependencies import calls_of_spans
from windvane.tracing.inferred import infer
from windvane.tracing.model import Trace
from windvane.tracing.service_paths import Path, service_paths
from windvane.tracing.span_pairs import DATABASE

DEFAULT_LIMIT = 100
NOT_FOUND = "trace not found"
FOREVER_NS = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class JaegerQueries:
    """Questions to one tenant's store; every method blocks.

    `max_skew_ns` bounds clock-skew correction (0: report only). `raw` leaves traces as they are stored.
    """

    engine: Engine
    clock: Clock
    max_skew_ns: int = 0

    def services(self) -> list[str]:
        return search.services(self.engine)

    def operations(self, service: str, kind: str = "") -> list[search.Operation]:
        return search.operations(self.engine, service, kind)

    def find(self, query: search.TraceQuery, *, raw: bool = False) -> list[Trace]:
        """Newest first, whole."""
        return self._shown(search.find_traces(self.engine, query), raw)

    def by_ids(
        self, trace_ids: Sequence[str], window_ns: tuple[int, int] | None = None, *, raw: bool = False
    ) -> list[Trace]:
        """The traces there are, in the order asked, archived ones too."""
        return self._shown(read_kept(self.engine, trace_ids, window_ns), raw)

    def one(self, trace_id: str, window_ns: tuple[int, int] | None = None, *, raw: bool = False) -> Trace:
        """One trace, or `NotFoundError`."""
        found = self.by_ids([trace_id], window_ns, raw=raw)
        if not found:
            raise NotFoundError(NOT_FOUND)
        return found[0]

    def whole(self, trace_id: str, window_ns: tuple[int, int] | None = None, *, raw: bool = False) -> Trace:
        """One trace with the subtraces that calls of it began, marked as inferred, or `NotFoundError`."""
        found = self.one(trace_id, window_ns, raw=True)
        return self._shown([infer(self.engine, found).trace], raw)[0]

    def archive(self, trace_id: str, window_ns: tuple[int, int] | None = None) -> None:
        """Keep a trace beyond retention; `NotFoundError` when there is none."""
        archive(self.engine, trace_id, window_ns)

    def summaries(self, query: search.TraceQuery) -> list[summaries.TraceSummary]:
        """Newest first."""
        return summaries.summaries(self.engine, search.find_trace_ids(self.engine, query))

    def dependencies(self, start_ns: int, end_ns: int) -> list[tuple[str, str, int]]:
        """(parent, child, calls) of the spans that begin in the window, sorted, without databases, which send none."""
        calls: dict[tuple[str, str], int] = {}
        for (parent, child, connection), own in calls_of_spans(self.engine, start_ns, end_ns).items():
            if connection != DATABASE:
                calls[parent, child] = calls.get((parent, child), 0) + own.calls
        return sorted((parent, child, count) for (parent, child), count in calls.items())

    def paths(self, query: search.TraceQuery) -> list[Path]:
        """Paths of calls through the service of the query."""
        return service_paths(self.engine, query)

    def now_ns(self) -> int:
        return self.clock.now_ns()

    def _shown(self, traces: list[Trace], raw: bool) -> list[Trace]:
        return traces if raw else [adjust(trace, self.max_skew_ns) for trace in traces]
