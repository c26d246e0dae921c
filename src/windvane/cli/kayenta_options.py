"""`windvane canary judge --kayenta-config`: what Kayenta would score by a configuration of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from windvane.cli.client import tenant_headers
from windvane.cli.output import print_table
from windvane.cli.query import ask_promql
from windvane.kit.errors import BadInputError
from windvane.kit.strict_yaml import read_text

_STEP = 60
_Between = tuple[float, float]


def kayenta_options(command: Any) -> Any:
    """Add `--kayenta-config` and `--scope-param`."""
    for option in (
        click.option("--scope-param", "params", multiple=True, metavar="NAME=VALUE",
                     help="What stands for ${NAME} in the configuration's queries, beside ${scope} (the version) and "
                     "${location} (the namespace). May be repeated."),
        click.option("--kayenta-config", "config", type=click.Path(exists=True, dir_okay=False, path_type=Path),
                     help="A canary-config JSON of Kayenta, whose score of the same time is told beside the verdict."),
    ):  # fmt: skip
        command = option(command)
    return command


def score(
    server: str, tenant: str | None, config: Path, versions: tuple[str, str], location: str, *,
    params: Sequence[str], between: _Between,
) -> dict[str, Any]:  # fmt: skip
    """The score of a configuration over a time, from range queries of a server."""
    import numpy as np  # noqa: PLC0415  # only where it is asked for

    from windvane.analytics.releases import kayenta_config  # noqa: PLC0415

    def ask(query: str) -> Any:
        start, end = (int(at) for at in between)
        form = {"query": query, "start": str(start), "end": str(end), "step": str(_STEP)}
        found = ask_promql(server, "query_range", form, tenant_headers(tenant))["data"]["result"]
        if len(found) > 1:
            raise BadInputError(f"{len(found)} series, one is needed: {query}")
        known = {round(float(at)): float(value) for at, value in (found[0]["values"] if found else ())}
        times = range(start, end + 1, _STEP)
        return np.array([known.get(at, np.nan) for at in times]) if known else np.array([])

    more = _params(params)
    places = [{"scope": version, "location": location, **more} for version in versions]
    read = kayenta_config.read(read_text(config), str(config))
    return asdict(kayenta_config.scored(read, places[0], places[1], ask))


def _params(params: Sequence[str]) -> dict[str, str]:
    found = {}
    for one in params:
        name, equals, value = one.partition("=")
        if not name or not equals:
            raise BadInputError(f"--scope-param {one!r}: expected NAME=VALUE")
        found[name] = value
    return found


def print_score(found: Mapping[str, Any], file: Path) -> None:
    """A score for people."""
    reason = f" ({found['reason']})" if found["reason"] else ""
    click.echo(f"Kayenta's judge by {file}: {found['score']:.0f} {found['label']}{reason}")
    print_table(["metric", "groups", "label", "effect", "critical"], (
        (one["name"], ", ".join(one["groups"]), one["label"],
         "" if one["effect"] is None else f"{one['effect']:.3g}", "fails the whole" if one["critical"] else "")
        for one in found["metrics"]
    ))  # fmt: skip
