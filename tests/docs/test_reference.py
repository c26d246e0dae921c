"""The reference pages say what the program does: made from it, and compared; `pytest --regen` writes them anew."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from windvane.cli.main import _windvane
from windvane.mesh.findings import CODES

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


def command_pages() -> Iterator[str]:
    context = click.Context(_windvane, info_name="windvane")
    yield "# Commands\n\nAlso `windvane COMMAND --help`. Options are read from `WINDVANE_…` variables, too.\n"
    yield from commands_of(_windvane, context, "windvane")


def commands_of(group: click.Group, context: click.Context, prefix: str) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        with click.Context(command, info_name=name, parent=context, terminal_width=100, max_content_width=100) as inner:
            yield f"## {prefix} {name}\n\n```text\n{command.get_help(inner)}\n```\n"
            if isinstance(command, click.Group):
                yield from commands_of(command, inner, f"{prefix} {name}")


def findings_page() -> Iterator[str]:
    yield "# Findings\n"
    yield (
        "What `windvane analyze` and the status page report. `IST…` codes are those of `istioctl analyze`; `WV…`\n"
        "codes are ours. A finding that refuses keeps the whole edit from taking effect. Kiali's validations have the\n"
        "codes of the last column for the same; one finding carries the one that fits it (`kiali` in JSON).\n"
        "\n"
        "A finding is not told where the resource's annotation `galley.istio.io/analyze-suppress` lists its code (or\n"
        "is `*`), unless it refuses, nor where `windvane analyze --suppress CODE=RESOURCE` covers it.\n"
    )
    rows = [
        f"| {code} | {entry.level} | {'yes' if entry.refuses else ''} | {entry.meaning} | {' '.join(entry.kiali)} |"
        for code, entry in sorted(CODES.items())
    ]
    yield "| code | level | refuses | meaning | Kiali |\n|---|---|---|---|---|\n" + "\n".join(rows) + "\n"


INSTRUMENT = re.compile(r'\.(counter|gauge|histogram)\(\s*"(windvane_\w+)",\s*"([^"]+)"', re.DOTALL)


def metrics_page() -> Iterator[str]:
    yield "# Windvane's own metrics\n\nServed at `/metrics` in Prometheus's text format.\n"
    found = {}
    for file in sorted((ROOT / "src" / "windvane").rglob("*.py")):
        for kind, name, text in INSTRUMENT.findall(file.read_text(encoding="utf-8")):
            shown = f"{name.removesuffix('_total')}_total" if kind == "counter" else name
            found[shown] = (kind, text.rstrip("."))
    rows = [f"| `{name}` | {kind} | {text} |" for name, (kind, text) in sorted(found.items())]
    yield "| metric | type | meaning |\n|---|---|---|\n" + "\n".join(rows) + "\n"


PAGES = {"commands.md": command_pages, "findings.md": findings_page, "metrics.md": metrics_page}


@pytest.mark.parametrize("page", PAGES)
def test_reference_page_is_up_to_date(page: str, request: pytest.FixtureRequest) -> None:
    text = "\n".join(PAGES[page]())
    file = REFERENCE / page
    if request.config.getoption("--regen"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    assert file.exists(), f"{file} is missing: pytest --regen writes it"
    assert file.read_text(encoding="utf-8") == text, f"{page} is out of date: pytest --regen writes it anew"


LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md", "docs/ARCHITECTURE.md", "docs/adr/README.md"])
def test_links_lead_somewhere(page: str) -> None:
    file = ROOT / page
    missing = [link for link in LINK.findall(file.read_text(encoding="utf-8")) if not (file.parent / link).exists()]
    assert missing == []


def test_the_architecture_names_files_that_exist() -> None:
    text = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = re.findall(
        r"`((?:alerting|analytics|api|app|cli|ingest|local|mesh|promql|rollout|signals|store|topology|tracing|xds)/[\w/*.-]+)`",
        text,
    )
    missing = [name for name in named if not list((ROOT / "src" / "windvane").glob(name.rstrip("/")))]
    assert missing == []


def test_both_readmes_show_the_same_commands() -> None:
    commands = [
        re.findall(r"^(?:\./run|windvane) [^#\n]*", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
        for name in ("README.md", "README.zh-CN.md")
    ]
    assert [line.strip() for line in commands[0]] == [line.strip() for line in commands[1]]
