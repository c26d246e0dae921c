"""Forms of the wizards: what `windvane new` takes, as JSON; each makes resources."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from windvane.kit.errors import BadInputError
from windvane.mesh import authoring
from windvane.mesh.authoring import Resource

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,250}[a-z0-9])?$")]
Mode = Literal["STRICT", "PERMISSIVE", "DISABLE"]
Port = Annotated[int, Field(ge=1, le=65535)]
Weight = Annotated[int, Field(ge=0, le=1_000_000)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid")
    namespace: Name = "default"

    @property
    def file(self) -> str:
        """What a new file with the resources would be called, without its ending."""
        raise NotImplementedError

    def resources(self) -> list[Resource]:
        """What is asked for, as if the mesh had nothing yet; `BadInputError` when too little is said."""
        raise NotImplementedError


class _ServiceForm(_Form):
    service: Name
    port: Port | None = None

    @property
    def file(self) -> str:
        return f"{self.service}-{self.kind}"  # type: ignore[attr-defined]


class _Matched(_ServiceForm):
    headers: dict[str, str] = {}
    cookies: Annotated[dict[str, str], Field(max_length=1)] = {}

    def match(self) -> Resource:
        return authoring.header_match(self.headers, self.cookies)


class CanaryForm(_ServiceForm):
    """Requests of a service split between versions, by weight."""

    kind: Literal["canary"]
    shares: Annotated[dict[str, Weight], Field(min_length=1)]
    label: str = "version"

    def resources(self) -> list[Resource]:
        return authoring.canary(self.service, self.namespace, self.shares, label=self.label, port=self.port)


class AbForm(_Matched):
    """One version for requests with a header or a cookie, another for all others."""

    kind: Literal["ab"]
    variant: Annotated[str, Field(min_length=1)]
    default: Annotated[str, Field(min_length=1)]
    label: str = "version"

    def resources(self) -> list[Resource]:
        match = self.match()
        if not match:
            raise BadInputError("a header or a cookie says which requests get the variant")
        return authoring.ab(
            self.service, self.namespace, match, self.variant, self.default, label=self.label, port=self.port
        )


class FaultForm(_Matched):
    """Delays or errors for a share of requests."""

    kind: Literal["fault"]
    percent: Annotated[float, Field(gt=0, le=100)]
    delay: str = ""
    abort: Annotated[int, Field(ge=200, le=599)] | None = None

    def resources(self) -> list[Resource]:
        percent = int(self.percent) if self.percent.is_integer() else self.percent
        share = {"percentage": {"value": percent}}
        faults: Resource = {
            **({"delay": {"fixedDelay": self.delay, **share}} if self.delay else {}),
            **({"abort": {"httpStatus": self.abort, **share}} if self.abort is not None else {}),
        }
        if not faults:
            raise BadInputError("a delay or a status says what happens")
        return authoring.fault(self.service, self.namespace, faults, self.match(), port=self.port)


class TimeoutForm(_ServiceForm):
    """A timeout for requests of a service."""

    kind: Literal["timeout"]
    duration: Annotated[str, Field(min_length=1)]

    def resources(self) -> list[Resource]:
        return authoring.patient(self.service, self.namespace, {"timeout": self.duration}, port=self.port)


class RetryForm(_ServiceForm):
    """Failed requests of a service tried again."""

    kind: Literal["retry"]
    attempts: Annotated[int, Field(ge=0, le=100)]
    per_try: str = ""
    conditions: str = ""

    def resources(self) -> list[Resource]:
        retries: dict[str, Any] = {"attempts": self.attempts}
        retries |= {"perTryTimeout": self.per_try} if self.per_try else {}
        retries |= {"retryOn": self.conditions} if self.conditions else {}
        return authoring.patient(self.service, self.namespace, {"retries": retries}, port=self.port)


class MtlsForm(_Form):
    """The transport that workloads accept."""

    kind: Literal["mtls"]
    mode: Mode
    labels: dict[str, str] = {}
    ports: dict[Port, Mode] = {}

    @property
    def name(self) -> str:
        return "-".join(self.labels.values()) or "default"

    @property
    def file(self) -> str:
        return f"{self.name}-mtls"

    def resources(self) -> list[Resource]:
        return authoring.mutual_tls(self.name, self.namespace, self.mode, self.labels, self.ports)


class AccessForm(_Form):
    """Callers that may, or may not, do something at a service's workloads."""

    kind: Literal["allow", "deny"]
    service: Name
    labels: dict[str, str] = {}
    accounts: list[str] = []
    namespaces: list[str] = []
    methods: list[str] = []
    paths: list[str] = []
    ports: list[str] = []
    trust_domain: str = "cluster.local"

    @property
    def file(self) -> str:
        return f"{self.service}-{self.kind}"

    def resources(self) -> list[Resource]:
        principals = [authoring.principal(one, self.namespace, self.trust_domain) for one in self.accounts]
        source = {name: one for name, one in (("principals", principals), ("namespaces", self.namespaces)) if one}
        asked = (("methods", self.methods), ("paths", self.paths), ("ports", self.ports))
        operation = {name: one for name, one in asked if one}
        if not source and not operation:
            raise BadInputError("say who (accounts, namespaces) or what (methods, paths, ports)")
        labels = self.labels or {"app": self.service}
        return authoring.access(
            self.file, self.namespace, self.kind.upper(), labels, source=source, operation=operation
        )


Form = Annotated[
    CanaryForm | AbForm | FaultForm | TimeoutForm | RetryForm | MtlsForm | AccessForm, Field(discriminator="kind")
]
