"""Tenants: each has a database of its own, so data of two never meet in a query.

The default tenant is the database `windvane`; any other is `tenant_NAME`. Names follow the rule
of Grafana Mimir and Loki, whose header `X-Scope-OrgID` carries them.
"""

from __future__ import annotations

import re

from windvane.kit.errors import BadInputError
from windvane.store.api import Engine

DEFAULT_DATABASE = "windvane"
_PREFIX = "tenant_"
_NAME = re.compile(r"[A-Za-z0-9!\-_.*'()]{1,150}")


def database_of(tenant: str) -> str:
    """The database of a named tenant; `BadInputError` when the name is not allowed."""
    if "|" in tenant:
        raise BadInputError(f"tenant {tenant!r}: a query over several tenants is not supported; name one")
    if not _NAME.fullmatch(tenant) or tenant in (".", ".."):
        raise BadInputError(
            f"tenant {tenant!r} is not a valid name: up to 150 of letters, digits and !-_.*'(), but not . or .."
        )
    return _PREFIX + tenant


def existing(engine: Engine) -> frozenset[str]:
    """Names of the tenants that have a database in the engine's directory."""
    frame = engine.query("SELECT name FROM system.databases WHERE startsWith(name, {p:String})", {"p": _PREFIX})
    return frozenset(name.removeprefix(_PREFIX) for name in frame["name"].tolist())
