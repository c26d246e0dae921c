"""What commands print: tables for people, JSON for programs, one choice for all of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click
import orjson
import yaml
from rich.console import Console
from rich.table import Table

Command = TypeVar("Command", bound=Callable[..., Any])


_WIDEST = 100_000


def output_option(command: Command) -> Command:
    """Add `--output table|json` to a command, as the parameter `output`."""
    return click.option(
        "--output", type=click.Choice(["table", "json"]), default="table", show_default=True, help="How to print."
    )(command)


def print_json(value: Any) -> None:
    """One JSON document, indented, on standard output."""
    sys.stdout.buffer.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    sys.stdout.buffer.flush()


def print_yaml(value: Any) -> None:
    """One YAML document on standard output, of what JSON can hold."""
    plain = orjson.loads(orjson.dumps(value))
    yaml.safe_dump(plain, sys.stdout, sort_keys=False, width=120, allow_unicode=True)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str | None = None) -> None:
    """A table on standard output; columns whose cells are all numbers are right-aligned. What is no terminal has no
    width: there a row is a line, however long."""
    cells = [[("" if cell is None else str(cell)) for cell in row] for row in rows]
    table = Table(title=title, box=None, header_style="bold", pad_edge=False)
    for index, column in enumerate(columns):
        numeric = bool(cells) and all(_is_number(row[index]) for row in cells)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in cells:
        table.add_row(*row)
    width = None if sys.stdout.isatty() else Console(width=_WIDEST).measure(table).maximum
    Console(width=width).print(table)


def _is_number(text: str) -> bool:
    try:
        float(text.rstrip("%") or "nan")
    except ValueError:
        return False
    return True
