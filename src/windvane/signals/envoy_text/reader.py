"""Lines as they are found in files and on pipes: prefixes taken off, formats tried, entries completed.

A line is an entry, or it is bad and says why; what a proxy prints beside its access log is bad in this sense.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from windvane.signals.envoy_text.formats import LineFormat, NotThisFormatError
from windvane.signals.envoy_text.operators import moment

Entry = dict[str, Any]
"""Columns of `envoy_access_logs`; `Timestamp` is nanoseconds since the epoch."""

MAX_LINE = 1 << 20

_POD = re.compile(r"\[(?:pod/)?([^/\]\s]+)/([^\]\s]+)\] ")
_STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)) ")
_CRI = re.compile(r"(?:stdout|stderr) [FP] ")
_TEXT_LIMIT = 1 << 63


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no entry: its number (from 1), why, and its beginning."""

    number: int
    reason: str
    text: str


class LineReader:
    """Reads the lines of one source in their order.

    `namespace` and `pod` name the proxy where the lines do not (as `kubectl logs --prefix` makes them).
    """

    def __init__(self, formats: Sequence[LineFormat], *, pod: str = "", namespace: str = "") -> None:
        self._formats = list(formats)
        self._pod = pod
        self._namespace = namespace
        self.number = 0

    def read(self, raw: bytes) -> Entry | BadLine | None:
        """The entry of the next line (without its end); None for an empty one."""
        self.number += 1
        if not raw.strip():
            return None
        if len(raw) > MAX_LINE:
            return BadLine(self.number, f"it is longer than {MAX_LINE} bytes", _beginning(raw))
        try:
            return self._entry(raw.decode().rstrip("\r"))
        except UnicodeDecodeError:
            return BadLine(self.number, "it is not UTF-8", _beginning(raw))
        except NotThisFormatError:
            return BadLine(self.number, "it is not in the format", _beginning(raw))
        except (ValueError, OverflowError) as error:
            return BadLine(self.number, str(error), _beginning(raw))

    def _entry(self, line: str) -> Entry:
        pod, stamp, line = _without_prefix(line)
        if line.startswith('{"log":') and (inner := _docker(line)) is not None:
            line, stamp = inner
        found = self._stamped(stamp, line)
        if "Timestamp" not in found:
            if not stamp:
                raise ValueError("it tells no time")
            found["Timestamp"] = moment(stamp)
        if not 0 < found["Timestamp"] < _TEXT_LIMIT:
            raise ValueError("its time is out of range")
        return completed(found, pod or self._pod, self._namespace)

    def _stamped(self, stamp: str, line: str) -> Entry:
        """A line behind a time, which may be the line's own."""
        if stamp:
            with contextlib.suppress(NotThisFormatError, ValueError):
                return self._read(f"{stamp} {line}")
        return self._read(line)

    def _read(self, line: str) -> Entry:
        for place, form in enumerate(self._formats):
            try:
                found = form.read(line)
            except NotThisFormatError:
                continue
            if place:  # the lines of a source are mostly alike
                self._formats.insert(0, self._formats.pop(place))
            return found
        raise NotThisFormatError


def completed(found: Entry, pod: str, namespace: str) -> Entry:
    """An entry with what its columns say together: which side reported, what kind of traffic it was, whose proxy."""
    inbound = found.get("UpstreamCluster", "").startswith("inbound|")
    tcp = not found.get("Method") and not found.get("HttpVersion")
    headers = found.get("RequestHeaders", {})
    grpc = bool(found.get("GrpcStatus")) or headers.get("content-type", "").startswith("application/grpc")
    pod, namespace = found.pop("Pod", "") or pod, found.pop("Namespace", "") or namespace
    found["Reporter"] = "destination" if inbound else "source"
    found["Kind"] = "tcp" if tcp else "http"
    found["Protocol"] = "tcp" if tcp else "grpc" if grpc else "http"
    found["LogName"] = f"{found['Kind']}_{'inbound' if inbound else 'outbound'}"
    found.setdefault("ResponseFlags", "-")
    if pod:
        space = namespace or "default"
        found["NodeId"] = f"sidecar~~{pod}.{space}~{space}.svc.cluster.local"
    return found


def _without_prefix(line: str) -> tuple[str, str, str]:
    """Pod, time and rest of a line: `kubectl logs --prefix --timestamps`, and what container runtimes write."""
    pod = stamp = ""
    if (match := _POD.match(line)) is not None:
        pod, line = match[1], line[match.end() :]
    if (match := _STAMP.match(line)) is not None:
        stamp, line = match[1], line[match.end() :]
        if (match := _CRI.match(line)) is not None:
            line = line[match.end() :]
    return pod, stamp, line


def _docker(line: str) -> tuple[str, str] | None:
    """Line and time of Docker's JSON files."""
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if isinstance(found.get("log"), str) and isinstance(found.get("time"), str):
        return found["log"].rstrip("\n"), found["time"]
    return None


def _beginning(raw: bytes) -> str:
    return raw[:120].decode(errors="replace")
