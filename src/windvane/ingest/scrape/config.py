"""A whole prometheus.yml, read as Prometheus 3 reads it: strict, with defaults of `global` filled in.

Errors name file, line and path, all that are found in one go. What Windvane does not support is
refused by name. Sections that others act on in Prometheus (remote_write, storage, …) are accepted and
listed in `PrometheusConfig.ignored`.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, Field, ValidationError, model_validator

from windvane.ingest.scrape.client_config import ClientConfig, Values
from windvane.ingest.scrape.discovery_config import Discoveries
from windvane.ingest.scrape.fields import (
    LIST,
    Duration,
    FileName,
    FileNames,
    Model,
    Natural,
    OptionalSwitch,
    Real,
    Size,
    Switch,
    Text,
    TextMap,
    Texts,
    valid_name,
)
from windvane.ingest.scrape.relabel import RelabelRule
from windvane.ingest.scrape.yaml_lines import ConfigError, Document, parse
from windvane.kit.yaml_nodes import Problem
from windvane.signals.exposition import PROTOCOLS

__all__ = ["AlertmanagerConfig", "ConfigError", "GlobalConfig", "PrometheusConfig", "ScrapeConfig", "load", "loads"]

_log = logging.getLogger(__name__)
_T = TypeVar("_T", bound=BaseModel)

_IGNORED = ("remote_write", "remote_read", "storage", "tracing", "otlp", "runtime")
_NOT_SUPPORTED = {"sigv4", "azuread", "google_iam", "alert_relabel_configs"}  # the last for a single Alertmanager
_VARIABLE = re.compile(r"\$(?:\{([^}]*)\}|(\w+)|(\$))")
_TEXT_PROTOCOLS = ("OpenMetricsText1.0.0", "OpenMetricsText0.0.1", "PrometheusText1.0.0", "PrometheusText0.0.4")
_ESCAPING = {"allow-utf-8", "underscores", "dots", "values"}
_GLOBAL_DEFAULT_INTERVAL, _GLOBAL_DEFAULT_TIMEOUT = 60.0, 10.0


def _protocol(name: str) -> str:
    if name not in PROTOCOLS:
        raise ValueError(f"unknown scrape protocol {name}, supported: {', '.join(sorted(PROTOCOLS))}")
    return name


def _protocols(names: tuple[str, ...]) -> tuple[str, ...]:
    if len({name.lower() for name in names}) < len(names):
        raise ValueError(f"duplicated protocol in scrape_protocols, got {', '.join(names)}")
    return names


def _scheme(name: str) -> str:
    if name not in {"", "utf8", "legacy"}:
        raise ValueError(f"must be either '', 'legacy' or 'utf8', got {name}")
    return name


def _escaping(name: str) -> str:
    if name and name not in _ESCAPING:
        raise ValueError(f"must be one of {', '.join(sorted(_ESCAPING))}, got {name!r}")
    return name


def _labels(labels: dict[str, str]) -> dict[str, str]:
    for name in labels:
        if not name:
            raise ValueError('"" is not a valid label name')
    return labels


Protocol = Annotated[Text, AfterValidator(_protocol)]
Protocols = Annotated[Texts, AfterValidator(lambda names: tuple(map(_protocol, names))), AfterValidator(_protocols)]
ValidationScheme = Annotated[Text, AfterValidator(_scheme)]
EscapingScheme = Annotated[Text, AfterValidator(_escaping)]


class _Limits(Model):
    """What `global` and a scrape configuration may both say; 0 and '' mean: not said, or no limit."""

    scrape_interval: Duration = 0.0
    scrape_timeout: Duration = 0.0
    scrape_protocols: Protocols = ()
    scrape_failure_log_file: FileName = ""
    body_size_limit: Size = 0
    sample_limit: Natural = 0
    target_limit: Natural = 0
    label_limit: Natural = 0
    label_name_length_limit: Natural = 0
    label_value_length_limit: Natural = 0
    keep_dropped_targets: Natural = 0
    metric_name_validation_scheme: ValidationScheme = ""
    metric_name_escaping_scheme: EscapingScheme = ""
    scrape_native_histograms: OptionalSwitch = None
    convert_classic_histograms_to_nhcb: OptionalSwitch = None
    always_scrape_classic_histograms: OptionalSwitch = None
    extra_scrape_metrics: OptionalSwitch = None


class GlobalConfig(_Limits):
    """`global`: defaults of scraping and of rules, and labels for the outside."""

    evaluation_interval: Duration = 60.0
    rule_query_offset: Duration = 0.0
    query_log_file: FileName = ""
    external_labels: Annotated[TextMap, AfterValidator(_labels)] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits(self) -> GlobalConfig:
        if self.scrape_timeout > (self.scrape_interval or _GLOBAL_DEFAULT_INTERVAL):
            raise ValueError("global scrape timeout greater than scrape interval")
        for name in self.external_labels:
            if not valid_name(name, self.metric_name_validation_scheme or "utf8"):
                raise ValueError(f"{name!r} is not a valid label name")
        return self

    def filled(self) -> GlobalConfig:
        """With Prometheus's defaults for what is not said, and variables of the environment in external labels."""
        interval = self.scrape_interval or _GLOBAL_DEFAULT_INTERVAL
        return self.model_copy(
            update={
                "scrape_interval": interval,
                "scrape_timeout": self.scrape_timeout or min(_GLOBAL_DEFAULT_TIMEOUT, interval),
                "evaluation_interval": self.evaluation_interval or 60.0,
                "metric_name_validation_scheme": self.metric_name_validation_scheme or "utf8",
                "external_labels": {name: _expanded(value) for name, value in self.external_labels.items()},
            }
        )


class ScrapeConfig(_Limits, ClientConfig, Discoveries):
    """One job."""

    job_name: Text = Field(min_length=1)
    metrics_path: Text = "/metrics"
    scheme: Literal["http", "https"] = "http"
    params: Values = Field(default_factory=dict)
    honor_labels: Switch = False
    honor_timestamps: Switch = True
    track_timestamps_staleness: Switch = False
    enable_compression: Switch = True
    fallback_scrape_protocol: Annotated[Text, AfterValidator(lambda name: name and _protocol(name))] = ""
    scrape_classic_histograms: OptionalSwitch = None
    native_histogram_bucket_limit: Natural = 0
    native_histogram_min_bucket_factor: Real = 0.0
    relabel_configs: Annotated[tuple[RelabelRule, ...], LIST] = ()
    metric_relabel_configs: Annotated[tuple[RelabelRule, ...], LIST] = ()

    @model_validator(mode="after")
    def _targets(self) -> ScrapeConfig:
        if not self.relabel_configs:
            for group in self.static_configs:
                for target in group.targets:
                    if "/" in target:
                        raise ValueError(f"{target!r} is not a valid hostname")
        return self

    @property
    def native_histograms(self) -> bool:
        """Whether native histograms are asked for and stored."""
        return bool(self.scrape_native_histograms)

    @property
    def classic_histograms(self) -> bool:
        """Whether classic buckets are kept beside native ones."""
        return bool(self.always_scrape_classic_histograms)

    def filled(self, defaults: GlobalConfig) -> ScrapeConfig:
        """With what `global` says where this says nothing. `ValueError` when it does not fit together."""
        interval = self.scrape_interval or defaults.scrape_interval
        if self.scrape_timeout > interval:
            raise ValueError(
                f'scrape timeout greater than scrape interval for scrape config with job name "{self.job_name}"'
            )
        update: dict[str, Any] = {
            name: getattr(defaults, name) for name in _Limits.model_fields if _unsaid(getattr(self, name))
        }
        update["scrape_interval"] = interval
        update["scrape_timeout"] = self.scrape_timeout or min(defaults.scrape_timeout, interval)
        if self.always_scrape_classic_histograms is None and self.scrape_classic_histograms is not None:
            update["always_scrape_classic_histograms"] = self.scrape_classic_histograms
        filled = self.model_copy(update=update)
        more: dict[str, Any] = {}
        if not filled.scrape_protocols:
            first = ("PrometheusProto",) if filled.native_histograms else ()
            more["scrape_protocols"] = (*first, *_TEXT_PROTOCOLS)
        if not filled.metric_name_escaping_scheme:
            legacy = filled.metric_name_validation_scheme == "legacy"
            more["metric_name_escaping_scheme"] = "underscores" if legacy else "allow-utf-8"
        return filled.model_copy(update=more)


class AlertmanagerConfig(ClientConfig, Discoveries):
    """Where Alertmanagers are and how alerts are sent to them."""

    scheme: Literal["http", "https"] = "http"
    path_prefix: Text = "/"
    timeout: Duration = 10.0
    api_version: Literal["v2"] = "v2"
    relabel_configs: Annotated[tuple[RelabelRule, ...], LIST] = ()


class AlertingConfig(Model):
    """`alerting`."""

    alertmanagers: Annotated[tuple[AlertmanagerConfig, ...], LIST] = ()
    alert_relabel_configs: Annotated[tuple[RelabelRule, ...], LIST] = ()


class _File(Model):
    """The sections that are read one by one after `global` is known."""

    global_: GlobalConfig = Field(default=GlobalConfig(), alias="global")
    alerting: AlertingConfig = AlertingConfig()
    rule_files: FileNames = ()
    scrape_config_files: FileNames = ()
    scrape_configs: Annotated[tuple[ScrapeConfig, ...], LIST] = ()
    remote_write: Any = None
    remote_read: Any = None
    storage: Any = None
    tracing: Any = None
    otlp: Any = None
    runtime: Any = None


class _ScrapeFile(Model):
    scrape_configs: Annotated[tuple[ScrapeConfig, ...], LIST] = ()


@dataclass(frozen=True, slots=True)
class PrometheusConfig:
    """A configuration with all defaults filled in.

    `scrape_configs` include those of `scrape_config_files`. `rule_files` are globs with their
    directories. `ignored` names sections that are accepted and not acted on. `text` is the file as it was.
    """

    path: str = ""
    global_: GlobalConfig = field(default_factory=lambda: GlobalConfig().filled())
    scrape_configs: tuple[ScrapeConfig, ...] = ()
    rule_files: tuple[str, ...] = ()
    alerting: AlertingConfig = field(default_factory=AlertingConfig)
    ignored: tuple[str, ...] = ()
    text: str = ""
    files: tuple[str, ...] = ()


def load(path: str | os.PathLike[str]) -> PrometheusConfig:
    """Read a configuration file; `ConfigError` with everything that is wrong in it."""
    file = Path(path)
    config = loads(_read(file), str(file), file.parent)
    if config.ignored:
        _log.info("%s: Windvane does not act on %s", file, ", ".join(config.ignored))
    return config


def loads(text: str, name: str = "prometheus.yml", directory: Path | None = None) -> PrometheusConfig:
    """As `load`, from text; files it names are relative to `directory`."""
    document = parse(text, name)
    parsed = _validated(_File, document, directory)
    defaults = parsed.global_.filled()
    jobs: dict[str, str] = {}
    scrape_configs = _jobs(parsed.scrape_configs, document, defaults, jobs, "main config file")
    files = [name]
    for file in _matching(parsed.scrape_config_files):
        files.append(file)
        part = parse(_read(Path(file)), file)
        more = _validated(_ScrapeFile, part, Path(file).parent)
        scrape_configs += _jobs(more.scrape_configs, part, defaults, jobs, file)
    return PrometheusConfig(
        name,
        defaults,
        tuple(scrape_configs),
        parsed.rule_files,
        parsed.alerting,
        _ignored(parsed),
        text,
        tuple(files),
    )


def _ignored(file: _File) -> tuple[str, ...]:
    """Sections and fields that are said and not acted on."""
    found = [section for section in _IGNORED if getattr(file, section) is not None]
    if file.global_.query_log_file:
        found.append("query_log_file")
    if any(one.scrape_failure_log_file for one in (file.global_, *file.scrape_configs)):
        found.append("scrape_failure_log_file")
    return tuple(found)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError([Problem(str(file), 0, "", f"cannot be read: {error.strerror or error}")]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([Problem(str(file), 0, "", f"is not UTF-8: {error.reason}")]) from None


def _matching(patterns: Sequence[str]) -> list[str]:
    """Files of the patterns, each once, in order; a name without wildcards must exist."""
    found: dict[str, None] = {}
    for pattern in patterns:
        whole = Path(pattern)
        found.update(dict.fromkeys(sorted(map(str, whole.parent.glob(whole.name)))))
    return list(found)


def _validated(model: type[_T], document: Document, directory: Path | None) -> _T:
    try:
        return model.model_validate(document.value or {}, context={"directory": directory})
    except ValidationError as error:
        problems = [_problem(document, one) for one in error.errors(include_url=False)]
        raise ConfigError(sorted(problems, key=lambda problem: problem.line)) from None


def _problem(document: Document, error: Mapping[str, Any]) -> Problem:
    path = tuple(error["loc"])
    kind, message = error["type"], str(error["msg"])
    if kind == "extra_forbidden":
        name = str(path[-1])
        if name in _NOT_SUPPORTED or name.endswith("_sd_configs"):
            message = f"{name} is not supported by Windvane"
        else:
            message = f"field {name} not found"
    elif kind == "missing":
        message = f"{path[-1]} is missing"
        path = path[:-1]
    elif kind in {"model_type", "dict_type"}:
        message = "a mapping was expected"
    elif kind == "tuple_type":
        message = "a list was expected"
    elif kind == "string_too_short":
        message = f"{path[-1]} is empty"
    elif kind == "value_error":
        message = str(error["ctx"]["error"])
    return document.problem(path, message)


def _jobs(
    jobs: Sequence[ScrapeConfig], document: Document, defaults: GlobalConfig, seen: dict[str, str], place: str
) -> list[ScrapeConfig]:
    filled, problems = [], []
    for index, job in enumerate(jobs):
        path = ("scrape_configs", index)
        if job.job_name in seen:
            message = (
                f'found multiple scrape configs with job name "{job.job_name}", first found in {seen[job.job_name]}'
            )
            problems.append(document.problem((*path, "job_name"), message))
            continue
        seen[job.job_name] = place
        try:
            filled.append(job.filled(defaults))
        except ValueError as error:
            problems.append(document.problem((*path, "scrape_timeout"), str(error)))
    if problems:
        raise ConfigError(problems)
    return filled


def _unsaid(value: object) -> bool:
    return value is None or (not isinstance(value, bool) and value in {0, "", ()})


def _expanded(value: str) -> str:
    """`${NAME}` and `$NAME` from the environment ('' when not set), `$$` a dollar."""

    def replaced(match: re.Match[str]) -> str:
        return "$" if match[3] else os.environ.get(match[1] or match[2] or "", "")

    return _VARIABLE.sub(replaced, value)
