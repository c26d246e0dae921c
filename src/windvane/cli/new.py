"""`windvane new`: Istio YAML for common intentions, checked before anybody sees it."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from windvane.cli.mesh_files import mesh_source
from windvane.kit.errors import BadInputError
from windvane.mesh import authoring
from windvane.mesh.drafts import text_of
from windvane.mesh.findings import Finding

Command = TypeVar("Command", bound=Callable[..., Any])


class Pairs(click.ParamType[tuple[str, str]]):
    """`NAME=VALUE`."""

    name = "name=value"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        name, equals, text = str(value).partition("=")
        if not (name and equals and text):
            self.fail(f"{value!r} is not NAME=VALUE", param, ctx)
        return name, text


_PAIR = Pairs()
_MODES = click.Choice(["STRICT", "PERMISSIVE", "DISABLE"])
_COMMON: tuple[Callable[[Any], Any], ...] = (
    click.option("--namespace", "-n", default="default", show_default=True, help="Namespace of what is made."),
    click.option("--with", "mesh", multiple=True, metavar="FILES|DIR",
                 help="The mesh it is for, to check against (and to try it in); may be repeated."),
    click.option("--file", "-f", "file", type=click.Path(path_type=Path, dir_okay=False), default=None,
                 help="Where to write; must not exist  [default: NAME-WHAT.yaml]"),
    click.option("--dry-run", is_flag=True, help="Print it, write nothing."),
    click.option("--try", "tried", metavar="'GET http://HOST/PATH'",
                 help="Send this request through real Envoys with the mesh of --with and what is made; write nothing."),
)  # fmt: skip


def _common(command: Command) -> Command:
    for option in reversed(_COMMON):
        command = option(command)
    return command


def _versioned(command: Command) -> Command:
    label = click.option("--label", default="version", show_default=True, help="The label whose values are versions.")
    return label(_port(command))


def _port(command: Command) -> Command:
    return click.option("--port", type=int, default=None, help="The service's port, where it has several.")(command)


def _matched(command: Command) -> Command:
    for option in (
        click.option("--cookie", "cookies", type=_PAIR, multiple=True, help="A cookie that the request must have."),
        click.option("--header", "headers", type=_PAIR, multiple=True, help="A header that it must have."),
    ):
        command = option(command)
    return command


@click.group()
def command() -> None:
    """Write Istio YAML for a canary, an A/B test, a fault, a timeout, retries, mTLS or access.

    What is made is analysed first, on its own or with the mesh of --with: what is wrong is told, and not written.
    """


@command.command()
@click.argument("service")
@click.option("--to", "shares", type=_PAIR, multiple=True, required=True, metavar="VERSION=WEIGHT",
              help="A version and its share of requests; may be repeated.")  # fmt: skip
@_versioned
@_common
def canary(service: str, shares: Sequence[tuple[str, str]], label: str, port: int | None, **given: Any) -> None:
    """Split the requests of SERVICE between versions, for example --to v1=95 --to v2=5."""
    weights = {version: _weight(text) for version, text in shares}
    _finish("canary", service, authoring.canary(service, given["namespace"], weights, label=label, port=port), given)


@command.command()
@click.argument("service")
@click.option("--variant", required=True, help="The version for the requests that match.")
@click.option("--default", "default", required=True, help="The version for all others.")
@_matched
@_versioned
@_common
def ab(service: str, variant: str, default: str, label: str, port: int | None, **given: Any) -> None:
    """Send requests of SERVICE with a header or a cookie to one version, all others to another."""
    match = authoring.header_match(dict(given["headers"]), _one_cookie(given["cookies"]))
    if not match:
        raise click.UsageError("--header or --cookie says which requests get the variant")
    made = authoring.ab(service, given["namespace"], match, variant, default, label=label, port=port)
    _finish("ab", service, made, given)


@command.command()
@click.argument("service")
@click.option("--delay", default="", help="Hold requests for so long, for example 2s.")
@click.option("--abort", type=int, default=None, help="Answer with this HTTP status.")
@click.option("--percent", type=float, required=True, help="The share of requests, for example 10 or 0.5.")
@_matched
@_port
@_common
def fault(service: str, delay: str, abort: int | None, percent: float, port: int | None, **given: Any) -> None:
    """Delay or fail a share of the requests of SERVICE."""
    share = {"percentage": {"value": percent}}
    faults = {
        **({"delay": {"fixedDelay": delay, **share}} if delay else {}),
        **({"abort": {"httpStatus": abort, **share}} if abort is not None else {}),
    }
    if not faults:
        raise click.UsageError("--delay or --abort says what happens")
    match = authoring.header_match(dict(given["headers"]), _one_cookie(given["cookies"]))
    _finish("fault", service, authoring.fault(service, given["namespace"], faults, match, port=port), given)


@command.command()
@click.argument("service")
@click.argument("duration")
@_port
@_common
def timeout(service: str, duration: str, port: int | None, **given: Any) -> None:
    """Give requests of SERVICE a timeout, for example 3s."""
    _finish("timeout", service, authoring.patient(service, given["namespace"], {"timeout": duration}, port=port), given)


@command.command()
@click.argument("service")
@click.option("--attempts", type=int, required=True, help="So many retries; 0 switches them off.")
@click.option("--per-try", default="", help="The timeout of each try, for example 2s.")
@click.option("--on", "conditions", default="", help="Envoy's conditions, for example 5xx,reset  [default: Istio's]")
@_port
@_common
def retry(service: str, attempts: int, per_try: str, conditions: str, port: int | None, **given: Any) -> None:
    """Try failed requests of SERVICE again."""
    retries: dict[str, Any] = {"attempts": attempts}
    if per_try:
        retries["perTryTimeout"] = per_try
    if conditions:
        retries["retryOn"] = conditions
    made = authoring.patient(service, given["namespace"], {"retries": retries}, port=port)
    _finish("retry", service, made, given)


@command.command()
@click.argument("mode", type=_MODES)
@click.option("--workload", "labels", type=_PAIR, multiple=True, metavar="LABEL=VALUE",
              help="Only workloads with this label; may be repeated  [default: all of the namespace]")  # fmt: skip
@click.option("--port-mode", "ports", type=_PAIR, multiple=True, metavar="PORT=MODE",
              help="Another mode for a port of these workloads (their own port, not the service's).")  # fmt: skip
@_common
def mtls(mode: str, labels: Sequence[tuple[str, str]], ports: Sequence[tuple[str, str]], **given: Any) -> None:
    """Say which transport workloads accept: STRICT is mutual TLS alone, PERMISSIVE also plaintext."""
    name = "-".join(value for _, value in labels) or "default"
    numbers = {_number(port): each.upper() for port, each in ports}
    _finish("mtls", name, authoring.mutual_tls(name, given["namespace"], mode, dict(labels), numbers), given)


def _access_options(command: Command) -> Command:
    for option in (
        click.option("--workload", "labels", type=_PAIR, multiple=True, metavar="LABEL=VALUE",
                     help="A label of its workloads; may be repeated  [default: app=SERVICE]"),
        click.option("--trust-domain", default="cluster.local", show_default=True, help="Of the callers."),
        click.option("--workload-port", "ports", multiple=True, help="A port of the workload itself."),
        click.option("--path", "paths", multiple=True, help="A path, for example /api/*."),
        click.option("--method", "methods", multiple=True, help="An HTTP method."),
        click.option("--from-namespace", "namespaces", multiple=True, help="Callers of this namespace."),
        click.option("--from", "accounts", multiple=True, metavar="[NAMESPACE/]ACCOUNT",
                     help="Callers with this service account."),
    ):  # fmt: skip
        command = option(command)
    return _common(command)


@command.command()
@click.argument("service")
@_access_options
def allow(service: str, **given: Any) -> None:
    """Let some callers of SERVICE through; all others are refused from then on."""
    _access("allow", service, given)


@command.command()
@click.argument("service")
@_access_options
def deny(service: str, **given: Any) -> None:
    """Refuse some callers or requests of SERVICE; all others go on as before."""
    _access("deny", service, given)


def _access(what: str, service: str, given: Mapping[str, Any]) -> None:
    namespace = given["namespace"]
    accounts = [authoring.principal(one, namespace, given["trust_domain"]) for one in given["accounts"]]
    lists = {"principals": accounts, "namespaces": given["namespaces"]}
    operations = {name: given[name] for name in ("methods", "paths", "ports")}
    source = {name: list(values) for name, values in lists.items() if values}
    operation = {name: list(values) for name, values in operations.items() if values}
    if not source and not operation:
        raise click.UsageError("say who (--from, --from-namespace) or what (--method, --path, --workload-port)")
    labels = dict(given["labels"]) or {"app": service}
    made = authoring.access(f"{service}-{what}", namespace, what.upper(), labels, source=source, operation=operation)
    _finish(what, service, made, given)


def _weight(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise click.UsageError(f"{text!r} is not a weight, a whole number")
    return int(text)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise click.UsageError(f"{text!r} is not a port number")
    return int(text)


def _one_cookie(cookies: Sequence[tuple[str, str]]) -> dict[str, str]:
    if len(cookies) > 1:
        raise click.UsageError("one --cookie at most: Istio matches the whole Cookie header once")
    return dict(cookies)


def _finish(what: str, name: str, made: Sequence[authoring.Resource], given: Mapping[str, Any]) -> None:
    """Analyse what was made; then try it, print it or write it."""
    text = text_of(made)
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder, f"{name}-{what}.yaml".replace("/", "-"))
        draft.write_text(text, encoding="utf-8")
        _check(draft, text, given)
        if given["tried"]:
            _try(draft, given)
            return
    if given["dry_run"]:
        click.echo(text, nl=False)
        return
    file = given["file"] or Path(draft.name)
    try:
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise BadInputError(f"{file} exists already: it is not overwritten (--file names another)") from None
    except OSError as error:
        raise BadInputError(f"{file} cannot be written: {error.strerror}") from None
    click.echo(f"written: {file}", err=True)


def _check(draft: Path, text: str, given: Mapping[str, Any]) -> None:
    """Stop at what is wrong. Without a mesh, what it would refer to is not known, and not asked for."""
    result = mesh_source((*given["mesh"], str(draft)), given["namespace"], "istio-system").load()
    found = [item for item in result.findings if item.file == str(draft)]
    for item in found if given["mesh"] else ():
        if item.level != "error":
            click.echo(_shown(item), err=True)
    wrong = [item for item in found if item.refuses or (given["mesh"] and item.level == "error")]
    if wrong:
        click.echo(text, err=True)
        for item in wrong:
            click.echo(_shown(item), err=True)
        sys.exit(1)


def _shown(item: Finding) -> str:
    return f"line {item.line}: {item.level} [{item.code}] {item.resource} {item.path}: {item.message}"


def _try(draft: Path, given: Mapping[str, Any]) -> None:
    # Real Envoys are loaded only for those who ask for them.
    from windvane.cli.try_ import command as try_command  # noqa: PLC0415

    if not given["mesh"]:
        raise click.UsageError("--try needs the mesh: --with FILES")
    try_command.main(
        [*given["mesh"], str(draft), "--request", given["tried"], "--namespace", given["namespace"]],
        standalone_mode=False,
    )
