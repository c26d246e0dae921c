"""The server of a local mesh scrapes itself, so that its own dashboard has data; its users may add what they like."""

from __future__ import annotations

from pathlib import Path

import orjson

from windvane.kit.values import Address
from windvane.local.files import write_whole

_CONFIGURATION = """\
# What this mesh's server scrapes, read again when it changes. Written once: edits stay.
global:
  scrape_interval: 10s
scrape_configs:
  - job_name: windvane
    file_sd_configs:
      - files: [server-targets.json]
"""


def scrape_configuration(run_dir: Path, server: Address) -> Path:
    """Write `prometheus.yml` where there is none, and where the server is this time, which it reads from a file."""
    targets = [{"targets": [str(server)]}]
    write_whole(run_dir / "server-targets.json", orjson.dumps(targets))
    path = run_dir / "prometheus.yml"
    if not path.exists():
        write_whole(path, _CONFIGURATION.encode())
    return path
