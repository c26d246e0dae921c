"""`windvane serve`: the server, until it is told to stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import yaml

from windvane.kit.errors import BadInputError
from windvane.kit.values import Address, parse_duration, parse_size

_OTLP_NAMES = (
    "UnderscoreEscapingWithSuffixes",
    "UnderscoreEscapingWithoutSuffixes",
    "NoUTF8EscapingWithSuffixes",
    "NoTranslation",
)


def address_option(_: click.Context, __: click.Parameter, value: str | None) -> Address | None:
    """A `host:port` value; `none` switches the listener off."""
    return None if value is None or value == "none" else Address.parse(value)


def addresses_option(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[Address, ...]:
    """`host:port` values; `none` is none."""
    return tuple(Address.parse(value) for value in values if value != "none")


def load_config(ctx: click.Context, _: click.Parameter, value: Path | None) -> None:
    """Make a YAML file's keys (the options' names) the defaults of this command."""
    if value is None:
        return
    loaded: Any = yaml.safe_load(value.read_text(encoding="utf-8")) or {}
    if not isinstance(loaded, dict):
        raise BadInputError(f"{value}: expected a mapping of option names to values")
    known = {(p.name or ""): p for p in ctx.command.params if isinstance(p, click.Option)}
    keys = {str(key).replace("-", "_"): item for key, item in loaded.items()}
    for key in keys:
        if key not in known or key in ("config", "help"):
            raise BadInputError(f"{value}: unknown key {key!r} (known: {', '.join(sorted(known))})")
    ctx.default_map = {**(ctx.default_map or {}), **keys}


@click.command(context_settings={"auto_envvar_prefix": "WINDVANE"})
@click.option("--config", type=click.Path(path_type=Path, exists=True, dir_okay=False), callback=load_config,
              is_eager=True, expose_value=False, help="YAML file with these options' names as keys.")  # fmt: skip
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), default=Path("windvane-data"),
              show_default=True, help="Directory of the store; one server at a time.")  # fmt: skip
@click.option("--http", callback=address_option, default="127.0.0.1:9900", show_default=True,
              help="Console and HTTP APIs.")  # fmt: skip
@click.option("--grpc", callback=address_option, default="127.0.0.1:4317", show_default=True,
              help="OTLP, Envoy access logs and Jaeger's spans over gRPC, or none.")  # fmt: skip
@click.option("--otlp-http", callback=address_option, default="127.0.0.1:4318", show_default=True,
              help="A second address for OTLP over HTTP, or none.")  # fmt: skip
@click.option("--zipkin", callback=address_option, default="127.0.0.1:9411", show_default=True,
              help="A second address for Zipkin's spans, or none.")  # fmt: skip
@click.option("--jaeger-grpc", callback=address_option, default="none", show_default=True,
              help="A second address for Jaeger's spans over gRPC (14250 by custom), or none.")  # fmt: skip
@click.option("--jaeger-http", callback=address_option, default="none", show_default=True,
              help="A second address for Jaeger's thrift over HTTP (14268 by custom), or none.")  # fmt: skip
@click.option("--jaeger-udp", callback=addresses_option, multiple=True, metavar="ADDRESS",
              help="Takes Jaeger's thrift in datagrams (127.0.0.1:6831 by custom); may be repeated.")  # fmt: skip
@click.option("--jaeger-query", callback=address_option, default="127.0.0.1:16686", show_default=True,
              help="An address of its own for Jaeger's query API, which --http has as well, or none.")  # fmt: skip
@click.option("--jaeger-grpc-query", callback=address_option, default="127.0.0.1:16685", show_default=True,
              help="Jaeger's query API over gRPC, or none.")  # fmt: skip
@click.option("--sampling-http", callback=address_option, default="127.0.0.1:5778", show_default=True,
              help="Where Jaeger's clients ask for their sampling strategy, or none.")  # fmt: skip
@click.option("--sampling-grpc", callback=address_option, default="127.0.0.1:5779", show_default=True,
              help="The same over gRPC, or none; --grpc and --jaeger-grpc answer as well.")  # fmt: skip
@click.option("--sampling", metavar="FILE|URL",
              help="Strategies for clients, in the format of Jaeger's file; read again when it changes.")  # fmt: skip
@click.option("--sampling-adaptive", metavar="on|SETTINGS",
              help="Probabilities from traffic, for services that --sampling does not name: on, or settings such as "
              "target=2,minimum=0.0001.")  # fmt: skip
@click.option("--tail-sampling", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Policies that say which stored traces are kept; read again when they change.")  # fmt: skip
@click.option("--tempo", callback=address_option, default="127.0.0.1:3200", show_default=True,
              help="An address of its own for Tempo's API, which --http has under /tempo, or none.")  # fmt: skip
@click.option("--ads", callback=address_option, default="none", show_default=True,
              help="Control plane for sidecars (needs --mesh), or none.")  # fmt: skip
@click.option("--mesh", type=click.Path(path_type=Path, exists=True), multiple=True,
              help="Istio YAML file or directory, watched; may be repeated.")  # fmt: skip
@click.option("--placement", type=click.Path(path_type=Path, dir_okay=False), help="Where the mesh's workloads run.")
@click.option("--allow-edits/--no-allow-edits", default=False, show_default=True,
              help="Let the console write changes into the files of --mesh.")  # fmt: skip
@click.option("--releases/--no-releases", default=True, show_default=True,
              help="Carry out the Canaries among the files of --mesh: their routes' weights are changed.")  # fmt: skip
@click.option("--retention", default="15d", show_default=True,
              help="How long telemetry is kept: 15d, none, or 15d,traces=3d,metrics=none.")  # fmt: skip
@click.option("--watch/--no-watch", default=True, show_default=True,
              help="Judge every minute of the mesh's metrics, and tell of incidents.")  # fmt: skip
@click.option("--trust-domain", default="cluster.local", show_default=True, help="First part of SPIFFE identities.")
@click.option("--metrics-interval", default="5s", show_default=True, help="Between two samples of Istio's metrics.")
@click.option(
    "--span-metrics",
    default="tempo",
    show_default=True,
    type=click.Choice(("off", "tempo", "jaeger", "both")),
    help="Service graph, and calls and latencies of operations from spans, by Tempo's or Jaeger's names, or off.",
)
@click.option(
    "--span-metrics-series", default=100_000, show_default=True, help="Series of each kind of them; more become one."
)
@click.option("--memory", default="2GiB", show_default=True, help="What the store may use for queries.")
@click.option(
    "--prometheus-config",
    "--config.file",
    "prometheus_config",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A prometheus.yml: scrape_configs, rule_files, alerting; read again when it changes.",
)
@click.option(
    "--rules",
    multiple=True,
    metavar="GLOB",
    help="Rule files in Prometheus's format, or istio for those that come with Windvane; may be repeated.",
)
@click.option(
    "--slo",
    "slos",
    multiple=True,
    metavar="GLOB",
    help="Files of service-level objectives, kept and alerted about; may be repeated. Those among --mesh are kept too.",
)
@click.option(
    "--forecast/--no-forecast",
    default=True,
    show_default=True,
    help="Forecast every service hourly, at low priority, and write windvane_forecast.",
)
@click.option("--alertmanager", multiple=True, metavar="URL", help="An Alertmanager; may be repeated.")
@click.option(
    "--alert-webhook", multiple=True, metavar="URL", help="Gets alerts as Alertmanager's webhooks do; may be repeated."
)
@click.option("--external-url", metavar="URL", help="Where users reach this server; alerts link there.")
@click.option(
    "--admin-api/--no-admin-api",
    default=False,
    show_default=True,
    help="Allow deletion of series and snapshots over HTTP.",
)
@click.option(
    "--query-head",
    default="256MiB",
    show_default=True,
    help="Newest samples of all series kept in memory, packed; 0: none.",
)
@click.option(
    "--query-cache", default="512MiB", show_default=True, help="Decoded samples kept for queries asked again."
)
@click.option("--query-max-samples", default=50_000_000, show_default=True, help="Samples one query may read.")
@click.option("--query-max-series", default=2_000_000, show_default=True, help="Series one selector may find.")
@click.option("--query-timeout", default="2m", show_default=True, help="How long one query may take.")
@click.option(
    "--otlp-names",
    default=_OTLP_NAMES[0],
    show_default=True,
    type=click.Choice(_OTLP_NAMES),
    help="How names of OTLP metrics become Prometheus's.",
)
@click.option(
    "--otlp-promote",
    multiple=True,
    metavar="ATTRIBUTE",
    help="A resource attribute of OTLP metrics that becomes a label; may be repeated.",
)
@click.option("--max-series", type=int, help="Active series a tenant may have; further ones are refused.")
@click.option("--max-labels", default=256, show_default=True, help="Labels a series may have.")
@click.option(
    "--tenants",
    default="off",
    show_default=True,
    help="Tenants by header X-Scope-OrgID: off, auto (made by their first write), or their names: a,b.",
)
@click.option(
    "--tenant-retention",
    multiple=True,
    metavar="NAME:RULE",
    help="Retention of one tenant, as in --retention; may be repeated.",
)
@click.option("--max-tenants", default=100, show_default=True, help="So many tenants at once.")  # fmt: skip
def command(**options: Any) -> None:
    """Run the server: store, receivers, APIs, console and, with --mesh, the control plane."""
    from windvane.app.monitoring import MonitoringSettings  # noqa: PLC0415
    from windvane.app.sampling import SamplingSettings  # noqa: PLC0415
    from windvane.app.serve import run  # noqa: PLC0415  help must not load the store
    from windvane.app.settings import ServeSettings, TenantSettings  # noqa: PLC0415
    from windvane.ingest.metric_names import Strategy  # noqa: PLC0415
    from windvane.ingest.otlp_labels import OtlpMetricSettings  # noqa: PLC0415
    from windvane.ingest.series_rules import MetricLimits  # noqa: PLC0415
    from windvane.ingest.span_metrics import SpanMetricsSettings, SpanNames  # noqa: PLC0415
    from windvane.promql.engine import QuerySettings  # noqa: PLC0415
    from windvane.store.migrate import Retention  # noqa: PLC0415
    from windvane.tracing.sampling.adaptive import AdaptiveSettings  # noqa: PLC0415

    if options["ads"] is not None and not options["mesh"]:
        raise BadInputError("--ads needs --mesh: there is nothing to configure sidecars from")
    run(
        ServeSettings(
            data=options["data"],
            http=options["http"],
            grpc=options["grpc"],
            otlp_http=options["otlp_http"],
            zipkin=options["zipkin"],
            jaeger_grpc=options["jaeger_grpc"],
            jaeger_http=options["jaeger_http"],
            jaeger_udp=options["jaeger_udp"],
            jaeger_query=options["jaeger_query"],
            jaeger_grpc_query=options["jaeger_grpc_query"],
            sampling_http=options["sampling_http"],
            sampling_grpc=options["sampling_grpc"],
            sampling=SamplingSettings(
                options["sampling"],
                AdaptiveSettings.parse(options["sampling_adaptive"]) if options["sampling_adaptive"] else None,
                options["tail_sampling"],
            ),
            tempo=options["tempo"],
            ads=options["ads"],
            mesh=options["mesh"],
            placement=options["placement"],
            allow_edits=options["allow_edits"],
            releases=options["releases"],
            watch=options["watch"],
            retention=Retention.parse(options["retention"]),
            trust_domain=options["trust_domain"],
            metrics_interval=parse_duration(options["metrics_interval"]),
            span_metrics=None
            if options["span_metrics"] == "off"
            else SpanMetricsSettings(SpanNames(options["span_metrics"]), series=options["span_metrics_series"]),
            memory=parse_size(options["memory"]),
            monitoring=MonitoringSettings(
                options["prometheus_config"],
                options["rules"],
                options["alertmanager"],
                options["alert_webhook"],
                options["external_url"] or f"http://{options['http']}",
                options["slos"],
            ),
            queries=QuerySettings(
                cache_bytes=parse_size(options["query_cache"]),
                head_bytes=parse_size(options["query_head"]),
                max_samples=options["query_max_samples"],
                max_series=options["query_max_series"],
                timeout=parse_duration(options["query_timeout"]),
            ),
            forecast=options["forecast"],
            admin_api=options["admin_api"],
            otlp_metrics=OtlpMetricSettings(
                Strategy(options["otlp_names"]),
                promote=frozenset(options["otlp_promote"]),
                limits=MetricLimits(series=options["max_series"], labels=options["max_labels"]),
            ),
            tenants=TenantSettings.parse(options["tenants"], options["tenant_retention"], options["max_tenants"]),
        )
    )
