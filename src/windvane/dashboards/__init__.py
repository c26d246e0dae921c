"""Dashboards as data: Istio's seven, and one of Windvane itself.

Each is written once (`mesh.py`, `service.py`, …) as plain values of `model.py`. The console draws them
from JSON; `grafana.py` writes the same ones as Grafana's JSON. This room imports nothing but `kit`, and
only `grafana.py` may import the Grafana library, which takes long to load.
"""

from __future__ import annotations

from windvane.dashboards.control_plane import CONTROL_PLANE
from windvane.dashboards.mesh import MESH
from windvane.dashboards.model import Dashboard
from windvane.dashboards.performance import PERFORMANCE
from windvane.dashboards.server import SERVER
from windvane.dashboards.service import SERVICE
from windvane.dashboards.wasm import WASM
from windvane.dashboards.workload import WORKLOAD
from windvane.dashboards.ztunnel import ZTUNNEL
from windvane.kit.errors import NotFoundError

DASHBOARDS: tuple[Dashboard, ...] = (MESH, SERVICE, WORKLOAD, PERFORMANCE, CONTROL_PLANE, ZTUNNEL, WASM, SERVER)


def find(uid: str) -> Dashboard:
    """The dashboard of that uid; raises NotFoundError, which names those that exist."""
    for dashboard in DASHBOARDS:
        if dashboard.uid == uid:
            return dashboard
    known = ", ".join(dashboard.uid for dashboard in DASHBOARDS)
    raise NotFoundError(f"no dashboard {uid!r}; there are {known}")
