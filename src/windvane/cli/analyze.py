"""`windvane analyze`: what is wrong with mesh configuration, before it is used anywhere."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

import click
from rich.console import Console
from rich.text import Text

from windvane.cli.mesh_files import mesh_files, mesh_source
from windvane.cli.output import print_json
from windvane.mesh.files import FileSource
from windvane.mesh.findings import Finding

_STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}


@click.command("analyze")
@mesh_files
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to print.")
def command(paths: tuple[str, ...], output: str, namespace: str, root_namespace: str) -> None:
    """Validate Istio and Kubernetes YAML, and tell what in it does not fit together.

    Exit code 1 when any finding is an error.
    """
    source = mesh_source(paths, namespace, root_namespace)
    findings = source.load().findings
    if output == "json":
        print_json([_as_json(item) for item in findings])
    else:
        _print(findings, source)
    sys.exit(1 if any(item.level == "error" for item in findings) else 0)


def _as_json(item: Finding) -> dict[str, object]:
    return {
        "code": item.code,
        "level": item.level,
        "resource": item.resource,
        "message": item.message,
        "file": item.file,
        "line": item.line,
        "path": item.path,
    }


def _print(findings: Sequence[Finding], source: FileSource) -> None:
    console = Console(soft_wrap=True, highlight=False)
    for item in findings:
        place = f"{item.file}:{item.line}" if item.line else item.file
        subject = " ".join(part for part in (item.resource, item.path) if part)
        console.print(
            Text.assemble(
                (f"{place}: ", "bold"),
                (f"{item.level} [{item.code}]", _STYLES[item.level]),
                f" {subject}: {item.message}",
            )
        )
        line = source.line(item.file, item.line)
        if line.strip():
            console.print(Text(f"{item.line:>6} | {line}", style="dim"))
    console.print(Text(_summary(findings)))


def _summary(findings: Sequence[Finding]) -> str:
    if not findings:
        return "Nothing found."
    counts: Counter[str] = Counter(item.level for item in findings)
    words = {"error": "error", "warning": "warning", "info": "note"}
    present = ((counts[level], word) for level, word in words.items() if counts[level])
    return ", ".join(f"{count} {word}{'s' if count > 1 else ''}" for count, word in present)
