"""A configuration checked further than loading does: the files it names must be there and readable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
from pydantic import BaseModel

from windvane.ingest.scrape.client_config import Authorization, BasicAuth, OAuth2, TlsConfig
from windvane.ingest.scrape.config import PrometheusConfig, load
from windvane.ingest.scrape.discovery.base import groups_of
from windvane.ingest.scrape.discovery_config import Discoveries
from windvane.ingest.scrape.yaml_lines import ConfigError, parse
from windvane.ingest.scrape.yaml_lines import Path as Place
from windvane.kit.yaml_nodes import Problem

_MODELS_WITH_FILES = (TlsConfig, BasicAuth, Authorization, OAuth2)


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found; `summary` says what a file without problems holds."""

    file: str
    problems: tuple[Problem, ...] = ()
    summary: str = ""


def check(file: Path) -> Report:
    """Everything that is wrong with a configuration file and the files it names."""
    try:
        config = load(file)
    except ConfigError as error:
        return Report(str(file), error.problems)
    document = parse(config.text, str(file))
    sections: list[tuple[Place, BaseModel]] = [
        (("alerting", "alertmanagers", place), one) for place, one in enumerate(config.alerting.alertmanagers)
    ]
    sections += [(("scrape_configs", place), one) for place, one in enumerate(config.scrape_configs)]
    problems = [document.problem(place, message) for where, one in sections for place, message in _missing(one, where)]
    problems += [problem for _, one in sections if isinstance(one, Discoveries) for problem in _target_files(one)]
    problems += [document.problem(("rule_files",), message) for message in _missing_rules(config.rule_files)]
    return Report(str(file), tuple(problems), _summary(config))


def _missing(model: BaseModel, where: Place) -> Iterator[tuple[Place, str]]:
    """Files of credentials and certificates that cannot be read."""
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(model, _MODELS_WITH_FILES) and name.endswith("_file") and value and not Path(value).is_file():
            yield (*where, name), f"error checking {name.removesuffix('_file')} file {value!r}: it does not exist"
        elif isinstance(value, BaseModel):
            yield from _missing(value, (*where, name))
        elif isinstance(value, tuple):
            for place, one in enumerate(value):
                if isinstance(one, BaseModel):
                    yield from _missing(one, (*where, name, place))
    bearer = getattr(model, "bearer_token_file", "")
    if bearer and not Path(bearer).is_file():
        yield (*where, "bearer_token_file"), f"error checking bearer token file {bearer!r}: it does not exist"


def _target_files(config: Discoveries) -> Iterator[Problem]:
    """Files of targets that exist and are wrong."""
    for discovery in config.file_sd_configs:
        for pattern in discovery.files:
            whole = Path(pattern)
            for file in sorted(whole.parent.glob(whole.name)):
                try:
                    _check_targets(file)
                except ConfigError as error:
                    yield from error.problems
                except (OSError, ValueError) as error:
                    yield Problem(str(file), 0, "", str(error))


def _check_targets(file: Path) -> None:
    raw = file.read_bytes()
    value = orjson.loads(raw) if file.suffix.lower() == ".json" else parse(raw.decode(), str(file)).value
    groups_of(str(file), value)


def _missing_rules(patterns: Sequence[str]) -> Iterator[str]:
    """Patterns without wildcards that match nothing."""
    for pattern in patterns:
        if "*" not in pattern and not Path(pattern).is_file():
            yield f"{pattern!r} does not point to an existing file"


def _summary(config: PrometheusConfig) -> str:
    counts = {"job": len(config.scrape_configs), "rule file": len(config.rule_files)}
    text = ", ".join(f"{count} {what}{'' if count == 1 else 's'}" for what, count in counts.items())
    return f"{text}; not acted on: {', '.join(config.ignored)}" if config.ignored else text
