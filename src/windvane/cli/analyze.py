"""`windvane analyze`: what is wrong with mesh configuration, before it is used anywhere."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from windvane.cli.client import answer
from windvane.cli.mesh_files import mesh_source, optional_mesh_files
from windvane.cli.output import print_json
from windvane.cli.sarif import as_sarif
from windvane.kit.errors import UnavailableError
from windvane.mesh.files import FileSource
from windvane.mesh.findings import Finding, objective_findings, ordered
from windvane.mesh.suppress import Suppression, told

_STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}
_IGNORED = "WV0207"
_LEVELS = ("error", "warning", "info")
_FIELDS = ("code", "level", "resource", "message", "file", "line", "column", "end_column", "path", "kiali")


def _suppressions(_: click.Context, __: click.Parameter, given: Sequence[str]) -> list[Suppression]:
    return [Suppression.parse(text) for text in given]


@click.command("analyze")
@optional_mesh_files
@click.option("--output", type=click.Choice(["text", "json", "sarif"]), default="text", show_default=True,
              help="How to print.")  # fmt: skip
@click.option("--fail-on", type=click.Choice(_LEVELS), default="error", show_default=True,
              help="The least level that makes the exit code 1.")  # fmt: skip
@click.option("--suppress", "suppressions", multiple=True, metavar="CODE=RESOURCE", callback=_suppressions,
              help="Do not tell this, for example 'IST0118=Service web.shop'; * stands for any text.")  # fmt: skip
@click.option("--server", default="", metavar="URL",
              help="Ask a running server what it found in its own configuration, instead of FILES.")  # fmt: skip
def command(**given: Any) -> None:
    """Validate Istio and Kubernetes YAML, and tell what in it does not fit together.

    Resources with the annotation galley.istio.io/analyze-suppress are spared the codes that it lists.

    Exit code 1 when any finding is an error, or of the level of --fail-on.
    """
    if bool(given["paths"]) == bool(given["server"]):
        raise click.UsageError("either FILES or --server, and not both")
    # Without files there are no lines to show: an empty source has none.
    source = mesh_source(given["paths"], given["namespace"], given["root_namespace"], given["mesh_config"])
    found = _asked(given["server"]) if given["server"] else _found(source)
    findings = tuple(told(found, given["suppressions"]))
    _print(findings, given["output"], source.line)
    failing = _LEVELS[: _LEVELS.index(given["fail_on"]) + 1]
    sys.exit(1 if any(item.level in failing for item in findings) else 0)


def _found(source: FileSource) -> tuple[Finding, ...]:
    """The findings of files, also those of the objectives among them."""
    found = source.load().findings
    from windvane.alerting.slo_kept_files import KeptObjectives  # noqa: PLC0415  help must not load PromQL

    kept = KeptObjectives(mesh=source.texts)
    kept.look()
    return ordered([*found, *objective_findings(kept.problems)])


def _asked(server: str) -> tuple[Finding, ...]:
    """The findings of a server's last load; none for one without a mesh of its own."""
    status = answer(server, None, "status")
    try:
        found = status["config"]["findings"] if status["config"] else ()
        return tuple(Finding(**{name: item[name] for name in _FIELDS}) for item in found)
    except (KeyError, TypeError):
        raise UnavailableError(f"{server} does not answer as a Windvane server of this version") from None


def _print(findings: Sequence[Finding], output: str, line: Callable[[str, int], str]) -> None:
    if output == "json":
        print_json([{name: getattr(item, name) for name in _FIELDS} for item in findings])
    elif output == "sarif":
        print_json(as_sarif(findings))
    else:
        _print_text(findings, line)


def _print_text(findings: Sequence[Finding], line: Callable[[str, int], str]) -> None:
    console = Console(soft_wrap=True, highlight=False)
    for item in findings:
        if item.code == _IGNORED:
            continue
        place = f"{item.file}:{item.line}" if item.line else item.file
        subject = " ".join(part for part in (item.resource, item.path) if part)
        console.print(
            Text.assemble(
                (f"{place}: ", "bold"),
                (f"{item.level} [{item.code}]", _STYLES[item.level]),
                f" {subject}: {item.message}" + (f" ({item.kiali})" if item.kiali else ""),
            )
        )
        text = line(item.file, item.line)
        if text.strip():
            console.print(Text(f"{item.line:>6} | {text}", style="dim"))
            if item.column:
                console.print(Text(f"{'':>6} | {_underline(text, item)}", style=_STYLES[item.level]))
    ignored = Counter(item.resource.partition(" ")[0] for item in findings if item.code == _IGNORED)
    if ignored:
        kinds = ", ".join(f"{kind} {count}" for kind, count in ignored.most_common())
        label = (f"info [{_IGNORED}]", _STYLES["info"])
        console.print(Text.assemble(label, f" objects of kinds without a meaning here are ignored: {kinds}"))
    console.print(Text(_summary(findings)))


def _underline(text: str, item: Finding) -> str:
    """Marks below the place in a line; tabs stay, so that it stands where it should."""
    before = "".join(char if char == "\t" else " " for char in text[: item.column - 1])
    return before + "^" * max(1, item.end_column - item.column)


def _summary(findings: Sequence[Finding]) -> str:
    if not findings:
        return "Nothing found."
    counts: Counter[str] = Counter(item.level for item in findings)
    words = {"error": "error", "warning": "warning", "info": "note"}
    present = ((counts[level], word) for level, word in words.items() if counts[level])
    return ", ".join(f"{count} {word}{'s' if count > 1 else ''}" for count, word in present)
