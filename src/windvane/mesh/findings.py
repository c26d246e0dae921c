"""What is found wrong or worth knowing in a configuration, and the one table of its codes.

`IST…` codes are those of `istioctl analyze`, with its level and meaning; `WV…` codes are ours, for
what happens before Istio would see an object. A code is never reused for another meaning.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from windvane.kit.yaml_nodes import Problem

Level = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Code:
    """A kind of finding. One that `refuses` keeps the whole load from taking effect.

    `kiali` are the codes that Kiali's validations have for the same; a finding carries the one that fits it.
    """

    level: Level
    meaning: str
    refuses: bool = False
    kiali: tuple[str, ...] = ()


CODES: dict[str, Code] = {
    "WV0101": Code("error", "A file or a document in it is not YAML.", refuses=True),
    "WV0102": Code("error", "A document exceeds a limit of size, depth or alias expansion.", refuses=True),
    "WV0103": Code("error", "A mapping holds the same key twice.", refuses=True),
    "WV0104": Code("error", "A document is not a Kubernetes object.", refuses=True),
    "WV0105": Code("error", "A file cannot be read.", refuses=True),
    "WV0106": Code("warning", "A directory is a Helm chart, which has to be rendered first; nothing of it is read."),
    "WV0107": Code("warning", "A kustomization does more than list resources, and has to be built first."),
    "WV0108": Code("error", "A template that is not rendered.", refuses=True),
    "WV0201": Code("error", "A field that the kind does not have.", refuses=True),
    "WV0202": Code("error", "A field or value that Istio knows and Windvane does not support yet.", refuses=True),
    "WV0203": Code("error", "A value of the wrong type or form.", refuses=True),
    "WV0204": Code("error", "A required field is missing.", refuses=True),
    "WV0205": Code("error", "An API group that has no such kind, or not in that version.", refuses=True),
    "WV0206": Code("error", "A kind that Istio knows and Windvane does not support yet.", refuses=True),
    "WV0207": Code("info", "An object of a kind that has no meaning here; it is ignored."),
    "WV0208": Code("error", "Two objects of one kind have the same namespace and name.", refuses=True),
    "WV0209": Code("warning", "A field that Istio accepts and that has no effect."),
    "WV0210": Code("info", "A field that counts in a cluster; a local mesh does not act on it."),
    "WV0301": Code("warning", "Two services claim the same host; the first one is used.", kiali=("KIA1211",)),
    "WV0302": Code("info", "A route sends nothing to a destination: its weight is 0."),
    "WV0304": Code("warning", "The keys that a RequestAuthentication names cannot be fetched at present."),
    # WV0303 is retired: IST0174 says it.
    "WV0401": Code("warning", "A VirtualService rule is never used: earlier ones cover all that it matches."),
    "WV0402": Code("info", "A match of a VirtualService rule is covered by one of an earlier rule."),
    "WV0403": Code(
        "info", "Subsets that no route leads to, where others have routes or where they select no workload."
    ),
    "WV0404": Code("info", "A mirror or fault that never happens: its percentage is 0."),
    "WV0405": Code("warning", "Retries multiply along a path of calls."),
    "WV0406": Code("warning", "The timeout of a route ends before its retries can."),
    "WV0407": Code("warning", "The timeout of a route is shorter than that of a call which its service makes."),
    "WV0408": Code(
        "warning", "PeerAuthentications for the same workloads; the oldest is used.", kiali=("KIA0002", "KIA0003")
    ),
    "WV0409": Code("warning", "A PeerAuthentication has a mode for a port that its workloads do not serve."),
    "WV0410": Code(
        "warning", "A rule asks who calls, on ports without mutual TLS: it never matches.", kiali=("KIA0105",)
    ),
    "WV0411": Code("warning", "A rule names a principal of another trust domain.", kiali=("KIA0108",)),
    "WV0412": Code("warning", "A rule is for a port that its workloads do not serve."),
    "WV0413": Code("warning", "A rule asks for attributes of HTTP on ports that do not carry it."),
    "WV0414": Code("info", "A DENY rule asks who calls; callers in plaintext, which the port accepts, are not denied."),
    "WV0501": Code(
        "warning", "A Gateway is of a class that Istio does not serve, or not here: it is left out.", kiali=("KIA1504",)
    ),
    "WV0502": Code("error", "A listener of a Gateway cannot be served as it is written."),
    "WV0503": Code("error", "A certificate of a listener is missing, cannot be used or must not be referred to."),
    "WV0504": Code("error", "An address of a Gateway cannot be used."),
    "WV0505": Code("error", "A route's parent is not there: the route is not in force for it.", kiali=("KIA1401",)),
    "WV0506": Code(
        "error",
        "A Gateway's listeners do not let a route attach: its namespace or kind is not allowed.",
        kiali=("KIA1401",),
    ),
    "WV0507": Code("error", "A route has no host name in common with its Gateway's listeners."),
    "WV0508": Code("error", "A backend of a route does not exist: requests to it get 500.", kiali=("KIA1402",)),
    "WV0509": Code("error", "A route refers to another namespace without a ReferenceGrant: requests to it get 500."),
    "WV0510": Code("error", "A route refers to a backend of a kind that Istio cannot send to."),
    "WV0511": Code("error", "A route has a filter that Istio does not have: none of its rules is in force."),
    "WV0512": Code("info", "No destination of a route's rule gets anything: requests get 500."),
    "WV0513": Code(
        "warning", "No request reaches a match of a route: others of its host come first and take all of it."
    ),
    "WV0514": Code("warning", "Rules of both APIs are for a service of the mesh: only the older ones are in force."),
    "WV0515": Code("warning", "A field of Gateway API that Istio does not act on."),
    "WV0601": Code("warning", "An external authorizer cannot be asked: what its policies match is refused."),
    "WV0602": Code("info", "A policy names an external authorizer, and no file has the mesh's configuration."),
    "WV0603": Code("info", "Fields of the mesh's configuration that are not acted on."),
    "WV0604": Code("warning", "Policies name several external authorizers for a workload: what they match is refused."),
    "WV0605": Code("info", "A dry run of action CUSTOM or AUDIT: the policy does nothing."),
    "WV0606": Code("warning", "A policy is attached to what no proxy here is for: it has no effect."),
    "WV0610": Code("warning", "A patch of an EnvoyFilter changes nothing: what it is for is not there."),
    "WV0611": Code("warning", "A patch of an EnvoyFilter needs what only another build of Envoy has, such as Istio's."),
    "WV0620": Code("error", "The module of a WasmPlugin cannot be had by proxies of this machine.", refuses=True),
    "WV0701": Code("error", "A service-level objective cannot be used; the one of before stays in force."),
    "WV0710": Code("error", "A Canary that cannot be carried out: it is left as it is, others go on."),
    "WV0711": Code("warning", "Two Canaries for one service: the first one is carried out."),
    "IST0002": Code("warning", "A feature that the configuration depends on is deprecated."),
    "IST0101": Code(
        "error",
        "A resource being referenced does not exist.",
        kiali=("KIA0101", "KIA0302", "KIA1101", "KIA1102", "KIA1107", "KIA1601"),
    ),
    "IST0106": Code("error", "The resource has a schema validation error.", refuses=True),
    "IST0107": Code("warning", "An annotation of Istio stands on a kind of resource that it is not for."),
    "IST0108": Code("warning", "An annotation in Istio's name that Istio does not know."),
    "IST0109": Code("error", "VirtualServices of the mesh gateway define the same host.", kiali=("KIA1106",)),
    "IST0110": Code("error", "Sidecars of a namespace select the same workload."),
    "IST0111": Code("error", "A namespace has several Sidecars without a selector."),
    "IST0112": Code("error", "A route to a service of several ports does not say which."),
    "IST0113": Code("error", "A DestinationRule and a PeerAuthentication disagree on mTLS.", kiali=("KIA0207",)),
    "IST0116": Code("warning", "Services give one port of a Deployment's pods different protocols."),
    "IST0118": Code("info", "A port's name does not say its protocol.", kiali=("KIA0601",)),
    "IST0123": Code("warning", "A namespace has labels for injection that contradict each other."),
    "IST0125": Code("warning", "The value of an annotation of Istio is not valid."),
    "IST0127": Code("warning", "No workload carries the labels that the resource selects.", kiali=("KIA0004",)),
    "IST0128": Code("warning", "A DestinationRule uses TLS without verifying the server's certificate."),
    "IST0129": Code("warning", "A DestinationRule uses TLS on a port without verifying the server's certificate."),
    "IST0130": Code("warning", "A VirtualService rule is never used: an earlier one takes everything it would."),
    "IST0131": Code("info", "A match of a VirtualService rule repeats one of an earlier rule."),
    "IST0132": Code("warning", "A VirtualService's host is not among the hosts of its Gateway."),
    "IST0133": Code("warning", "The resource has a schema validation warning."),
    "IST0134": Code("warning", "A ServiceEntry for TCP has no addresses."),
    "IST0135": Code("info", "An annotation of Istio is deprecated."),
    "IST0137": Code("warning", "Services of a Deployment lead to one target port from different ports."),
    "IST0138": Code("warning", "Gateways share a certificate: HTTP/2 clients that reuse connections may get 404."),
    "IST0140": Code("warning", "Subset routes of a service do not hold for requests that come through a Gateway."),
    "IST0144": Code("warning", "A pod runs as user ID 1337, which is the sidecar's own."),
    "IST0145": Code(
        "error", "Gateways with the same selector expose the same host on the same port.", kiali=("KIA0301",)
    ),
    "IST0150": Code(
        "warning", "A port's name of an ExternalName service means TCP, which may keep requests from being forwarded."
    ),
    "IST0151": Code("warning", "An EnvoyFilter without a priority has an operation that depends on other patches."),
    "IST0152": Code("error", "An EnvoyFilter has operation REPLACE for something else than a filter."),
    "IST0153": Code("error", "An EnvoyFilter has operation ADD for routes, which Istio says is ignored."),
    "IST0154": Code("error", "An EnvoyFilter has operation REMOVE for routes, which Istio says is ignored."),
    "IST0155": Code("warning", "An EnvoyFilter without a priority has such an operation, and one for a proxy version."),
    "IST0157": Code("warning", "A Telemetry names no provider of access logs; Istio has none by default."),
    "IST0159": Code("error", "Telemetries of a namespace select the same workload.", kiali=("KIA0003",)),
    "IST0160": Code("error", "A namespace has several Telemetries without a selector.", kiali=("KIA0002",)),
    "IST0161": Code("error", "A Secret that a Gateway names is no certificate with its key."),
    "IST0162": Code("warning", "A Gateway listens on a port that no Service of its workloads exposes."),
    "IST0165": Code("warning", "A VirtualService names a Gateway that Istio made of a Kubernetes Gateway."),
    "IST0166": Code("warning", "A policy's selector picks a Gateway of Gateway API, which it should name."),
    "IST0171": Code("warning", "A condition in the resource's status is false."),
    "IST0173": Code("error", "A subset that a route leads to selects no workload.", kiali=("KIA0203",)),
    "IST0174": Code("warning", "A DestinationRule is for a host that no service has.", kiali=("KIA0202",)),
    "IST0177": Code("warning", "ServiceEntries give one host and port different protocols.", kiali=("KIA1212",)),
}
"""Every code, once."""

_ORDER = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found, and where: `path` is a field path as `spec.http[0].route[1].weight`.

    `resource` is `"Kind namespace/name"`, empty where no object could be made out. `line` counts
    from 1; 0 when the finding is about no single line. `column` to before `end_column`, from 1, is the place in
    the line; zeros where none is known. `kiali` is Kiali's code for the same, if it has one.
    """

    code: str
    level: Level
    resource: str
    message: str
    file: str = ""
    line: int = 0
    path: str = ""
    kiali: str = ""
    column: int = 0
    end_column: int = 0

    @property
    def refuses(self) -> bool:
        """Whether a configuration with this finding must not take effect."""
        return CODES[self.code].refuses

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        subject = " ".join(part for part in (self.resource, self.path) if part)
        return ": ".join(part for part in (place, f"{self.level} [{self.code}]", subject, self.message) if part)


def objective_findings(problems: Iterable[Problem]) -> list[Finding]:
    """What is wrong with files of objectives, told as it is of the mesh's other resources."""
    return [
        finding("WV0701", one.message, resource="ServiceLevelObjective", file=one.file, line=one.line, path=one.path)
        for one in problems
    ]


def finding(
    code: str,
    message: str,
    *,
    resource: str = "",
    file: str = "",
    line: int = 0,
    columns: tuple[int, int] = (0, 0),
    path: str = "",
    kiali: str = "",
) -> Finding:
    """A finding at the level that the table gives its code; a lone code of Kiali's there is taken as well."""
    entry = CODES[code]
    known = entry.kiali[0] if len(entry.kiali) == 1 else ""
    return Finding(code, entry.level, resource, message, file, line, path, kiali or known, *columns)


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings without repetition, the worst first, then by place."""
    unique = dict.fromkeys(findings)
    return tuple(sorted(unique, key=lambda item: (_ORDER[item.level], item.file, item.line, item.path, item.code)))
