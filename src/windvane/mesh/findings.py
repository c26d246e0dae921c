"""What is found wrong or worth knowing in a configuration, and the one table of its codes.

`IST…` codes are those of `istioctl analyze`, with its level and meaning; `WV…` codes are ours, for
what happens before Istio would see an object. A code is never reused for another meaning.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of finding. One that `refuses` keeps the whole load from taking effect."""

    level: Level
    meaning: str
    refuses: bool = False


CODES: dict[str, Code] = {
    "WV0101": Code("error", "A file or a document in it is not YAML.", refuses=True),
    "WV0102": Code("error", "A document exceeds a limit of size, depth or alias expansion.", refuses=True),
    "WV0103": Code("error", "A mapping holds the same key twice.", refuses=True),
    "WV0104": Code("error", "A document is not a Kubernetes object.", refuses=True),
    "WV0105": Code("error", "A file cannot be read.", refuses=True),
    "WV0201": Code("error", "A field that the kind does not have.", refuses=True),
    "WV0202": Code("error", "A field or value that Istio knows and Windvane does not support yet.", refuses=True),
    "WV0203": Code("error", "A value of the wrong type or form.", refuses=True),
    "WV0204": Code("error", "A required field is missing.", refuses=True),
    "WV0205": Code("error", "An API group that has no such kind, or not in that version.", refuses=True),
    "WV0206": Code("error", "A kind that Istio knows and Windvane does not support yet.", refuses=True),
    "WV0207": Code("info", "An object of a kind that has no meaning here; it is ignored."),
    "WV0208": Code("error", "Two objects of one kind have the same namespace and name.", refuses=True),
    "WV0301": Code("warning", "Two services claim the same host; the first one is used."),
    "WV0302": Code("info", "A route sends nothing to a destination: its weight is 0."),
    "WV0303": Code("warning", "A DestinationRule is for a host that the registry does not have."),
    "WV0304": Code("warning", "The keys that a RequestAuthentication names cannot be fetched at present."),
    "IST0101": Code("error", "A resource being referenced does not exist."),
    "IST0106": Code("error", "The resource has a schema validation error.", refuses=True),
    "IST0109": Code("error", "VirtualServices of the mesh gateway define the same host."),
    "IST0110": Code("error", "Sidecars of a namespace select the same workload."),
    "IST0111": Code("error", "A namespace has several Sidecars without a selector."),
    "IST0112": Code("error", "A route to a service of several ports does not say which."),
    "IST0113": Code("error", "A DestinationRule and a PeerAuthentication disagree on mTLS."),
    "IST0118": Code("info", "A port's name does not say its protocol."),
    "IST0127": Code("warning", "No workload carries the labels that the resource selects."),
    "IST0128": Code("warning", "A DestinationRule uses TLS without verifying the server's certificate."),
    "IST0129": Code("warning", "A DestinationRule uses TLS on a port without verifying the server's certificate."),
    "IST0130": Code("warning", "A VirtualService rule is never used: an earlier one takes everything it would."),
    "IST0131": Code("info", "A match of a VirtualService rule repeats one of an earlier rule."),
    "IST0132": Code("warning", "A VirtualService's host is not among the hosts of its Gateway."),
    "IST0133": Code("warning", "The resource has a schema validation warning."),
    "IST0134": Code("warning", "A ServiceEntry for TCP has no addresses."),
    "IST0145": Code("error", "Gateways with the same selector expose the same host on the same port."),
    "IST0159": Code("error", "Telemetries of a namespace select the same workload."),
    "IST0160": Code("error", "A namespace has several Telemetries without a selector."),
}
"""Every code, once."""

_ORDER = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found, and where: `path` is a field path as `spec.http[0].route[1].weight`.

    `resource` is `"Kind namespace/name"`, empty where no object could be made out. `line` counts
    from 1; 0 when the finding is about no single line.
    """

    code: str
    level: Level
    resource: str
    message: str
    file: str = ""
    line: int = 0
    path: str = ""

    @property
    def refuses(self) -> bool:
        """Whether a configuration with this finding must not take effect."""
        return CODES[self.code].refuses

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        subject = " ".join(part for part in (self.resource, self.path) if part)
        return ": ".join(part for part in (place, f"{self.level} [{self.code}]", subject, self.message) if part)


def finding(code: str, message: str, *, resource: str = "", file: str = "", line: int = 0, path: str = "") -> Finding:
    """A finding at the level that the table gives its code."""
    return Finding(code, CODES[code].level, resource, message, file, line, path)


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings without repetition, the worst first, then by place."""
    unique = dict.fromkeys(findings)
    return tuple(sorted(unique, key=lambda item: (_ORDER[item.level], item.file, item.line, item.path, item.code)))
