"""`windvane status`: the mesh of a running server: its configuration, and every proxy's."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import click

from windvane.cli.client import answer, server_option
from windvane.cli.output import output_option, print_json, print_table

_TYPES = ("CDS", "LDS", "EDS", "RDS", "SDS")
_SHORT = 8


@click.command("status")
@server_option
@output_option
def command(output: str, server: str, tenant: str | None) -> None:
    """Tell which configuration a server has, and what each proxy acknowledged of it or rejected, and why.

    Exit code 1 when the newest configuration is not in force everywhere.
    """
    config = answer(server, tenant, "status")["config"]
    proxies = answer(server, tenant, "mesh/proxies")["proxies"]
    if output == "json":
        print_json({"config": config, "proxies": proxies})
    else:
        _print(config, proxies)
    applied = config is None or config["applied"]
    sys.exit(0 if applied and all(one["synced"] for one in proxies) else 1)


def _print(config: dict[str, Any] | None, proxies: list[dict[str, Any]]) -> None:
    if config is None:
        click.echo("no mesh of its own")
        return
    counts = Counter(item["level"] for item in config["findings"])
    found = ", ".join(f"{counts[level]} of level {level}" for level in ("error", "warning", "info") if counts[level])
    state = "in force" if config["applied"] else "in force; the newest edit is refused"
    click.echo(f"configuration {config['version'] or 'none'} {state}")
    click.echo(f"services: {config['services']}; workloads: {config['workloads']}; findings: {found or 'none'}\n")
    print_table(("proxy", "state", *_TYPES), (_row(one) for one in proxies))
    for proxy in proxies:
        for each in proxy["types"]:
            if each["nack_reason"]:
                click.echo(f"\n{_name(proxy)} rejected {each['type']} {each['sent'][:_SHORT]}: {each['nack_reason']}")


def _name(proxy: dict[str, Any]) -> str:
    return f"{proxy['workload']}.{proxy['namespace']}"


def _row(proxy: dict[str, Any]) -> tuple[str, ...]:
    """The acknowledged version of each type, by content."""
    types = {each["type"]: each for each in proxy["types"]}
    state = "in sync" if proxy["synced"] else "not in sync" if proxy["connected"] else "not connected"
    return (_name(proxy), state, *(_version(types[name]) if name in types else "" for name in _TYPES))


def _version(each: dict[str, Any]) -> str:
    acked = each["acked"][:_SHORT] or "none"
    if each["nack_reason"]:
        return f"{acked} (newer rejected)"
    return acked if each["acked"] == each["sent"] else f"{acked} (newer sent)"
