"""Problems, and the constraints that several kinds share: names, hosts, ports, shares, patterns."""

from __future__ import annotations

import ipaddress
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from windvane.mesh.models import Percent, StringMatch
from windvane.mesh.yaml_source import Path

T = TypeVar("T")

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_HOST_LABEL = re.compile(r"[a-zA-Z0-9_]([-a-zA-Z0-9_]{0,61}[a-zA-Z0-9_])?")
_LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_HEADER = re.compile(r"[-_A-Za-z0-9.]+")
# What Python's patterns have and RE2 has not: look-around, references, atomic groups, conditions, comments,
# possessive repeats, some flags and escapes.
_NOT_RE2 = re.compile(r"\(\?(?:[=!>(#]|<[=!]|P=|[a-zA-Z]*[aLux])|(?<!\\)(?:\\\\)*\\[1-9ZNuU]|[*+?}]\+")
# What RE2 has and Python has not; such a pattern is not compiled here.
_ONLY_RE2 = re.compile(r"\\[pPQEzCA]|\[\[:|\(\?[a-zA-Z-]*U|(?!^)\(\?[a-zA-Z]+\)")
_REPEAT = re.compile(r"(?<!\\)\{(\d+)(?:,(\d*))?\}")
_MOST_REPEATS = 1000


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a resource: a code of the table, the field, the words, Kiali's code where it has several."""

    code: str
    path: Path
    message: str
    kiali: str = ""


def invalid(path: Path, message: str) -> Problem:
    """Istio's validation refuses this."""
    return Problem("IST0106", path, message)


def doubtful(path: Path, message: str) -> Problem:
    """Istio's validation warns of this."""
    return Problem("IST0133", path, message)


def not_yet(path: Path, what: str) -> Problem:
    """Istio knows this value, Windvane does not act on it."""
    return Problem("WV0202", path, f"not supported yet: Istio knows {what}, Windvane does not act on it")


def idle(path: Path, reason: str) -> Problem:
    """Istio accepts this, and nothing comes of it."""
    return Problem("WV0209", path, f"has no effect: {reason}")


def cluster_only(path: Path, reason: str) -> Problem:
    """This counts in a cluster and not in a local mesh."""
    return Problem("WV0210", path, f"counts in a cluster only: {reason}")


def is_dns_label(text: str) -> bool:
    """Whether text is a DNS label as Kubernetes wants it (at most 63 of a-z, 0-9 and inner hyphens)."""
    return _LABEL.fullmatch(text) is not None


def is_ip(text: str) -> bool:
    """Whether text is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_subnet(text: str) -> bool:
    """Whether text is an IP address or a network as `10.0.0.0/8`; bits of the host may be set, as Go takes them."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def check_host(path: Path, host: str, *, wildcard: bool = True) -> Iterator[Problem]:
    """A host name; a wildcard is `*` or `*.` before a name."""
    if not host:
        yield invalid(path, "host is empty")
        return
    if host == "*" or is_ip(host):
        return
    name = host.removeprefix("*.") if wildcard else host
    if "*" in name:
        yield invalid(path, f"{host!r} is not a host name" + (" (a wildcard is * or *.name)" if wildcard else ""))
    elif len(host) > 255 or not all(_HOST_LABEL.fullmatch(part) for part in name.rstrip(".").split(".")):
        yield invalid(path, f"{host!r} is not a host name")


def check_port(path: Path, port: int) -> Iterator[Problem]:
    """A TCP port."""
    if not 1 <= port <= 65535:
        yield invalid(path, f"port {port} is not in range 1..65535")


def check_percent(path: Path, percent: Percent | None) -> Iterator[Problem]:
    """A share: 0, or between 0.0001 (Envoy's finest) and 100 percent."""
    if percent is None or percent.value == 0 or 0.0001 <= percent.value <= 100:
        return
    yield invalid((*path, "value"), f"percentage {percent.value:g} is neither 0 nor in range 0.0001..100")


def check_duration(path: Path, seconds: float | None) -> Iterator[Problem]:
    """A duration that Envoy can keep: at least a millisecond, in whole milliseconds."""
    if seconds is None:
        return
    if seconds < 0.001:
        yield invalid(path, "duration must be greater than 1ms")
    elif abs(seconds * 1000 - round(seconds * 1000)) > 1e-6:
        yield invalid(path, "only durations to ms precision are supported")


def check_labels(path: Path, labels: Mapping[str, str]) -> Iterator[Problem]:
    """Label names and values as Kubernetes wants them."""
    for name, value in labels.items():
        prefix, slash, rest = name.rpartition("/")
        if not _LABEL_NAME.fullmatch(rest) or (slash and not all(is_dns_label(part) for part in prefix.split("."))):
            yield invalid((*path, name), f"{name!r} is not a label name")
        if value and not _LABEL_NAME.fullmatch(value):
            yield invalid((*path, name), f"{value!r} is not a label value")


def check_header_name(path: Path, name: str) -> Iterator[Problem]:
    """A header's name, pseudo-headers aside."""
    if not name:
        yield invalid(path, "header name cannot be empty")
    elif not _HEADER.fullmatch(name):
        yield invalid(path, f"header name {name!r} is not a valid header name")


def check_string_match(path: Path, match: StringMatch | None, *, presence: bool = False) -> Iterator[Problem]:
    """Something to match is given (unless presence is enough), and a regex is one of RE2."""
    if match is None:
        return
    if match.is_presence and not presence:
        yield invalid(path, "exactly one of exact, prefix, regex must be set")
    if match.prefix == "":
        yield doubtful((*path, "prefix"), "an empty prefix matches everything")
    if match.regex is not None:
        yield from check_regex((*path, "regex"), match.regex, lone_star=presence)


def check_regex(path: Path, pattern: str, *, lone_star: bool = False) -> Iterator[Problem]:
    """A pattern that RE2, Envoy's engine, takes; `*` alone stands for presence where that is possible."""
    if lone_star and pattern == "*":
        return
    if not pattern:
        yield invalid(path, "an empty regex is not allowed")
        return
    if _NOT_RE2.search(pattern):
        yield invalid(
            path, f"invalid regex {pattern!r}: RE2 has no look-around, back-references, comments or possessive repeats"
        )
        return
    counts = [int(count) for found in _REPEAT.finditer(pattern) for count in found.groups() if count]
    if any(count > _MOST_REPEATS for count in counts):
        yield invalid(path, f"invalid regex {pattern!r}: RE2 repeats at most {_MOST_REPEATS} times")
        return
    if _ONLY_RE2.search(pattern):
        return
    try:
        with warnings.catch_warnings(action="ignore"):
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        yield invalid(path, f"invalid regex {pattern!r}: {error}")


def check_export_to(path: Path, scopes: Iterable[str]) -> Iterator[Problem]:
    """Namespaces that see a resource: `*`, `.` or names; `*` and `~` stand alone."""
    seen = list(scopes)
    for index, scope in enumerate(seen):
        if scope not in ("*", ".", "~") and not is_dns_label(scope):
            yield invalid((*path, index), f"{scope!r} is not a namespace, . or *")
    if len(seen) > 1 and ("*" in seen or "~" in seen):
        yield invalid(path, f"cannot have both {'*' if '*' in seen else '~'} and others in exportTo")


def repeated(items: Iterable[T]) -> Iterator[tuple[int, T]]:
    """Items that stood before already, with their index."""
    seen: set[T] = set()
    for index, item in enumerate(items):
        if item in seen:
            yield index, item
        seen.add(item)
