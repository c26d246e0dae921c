"""After a run of the demo three counts agree exactly: requests sent, Istio's counter, access-log rows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from demo_process import Demo

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

COUNT = """
import json, sys
from windvane.promql.engine import QueryEngine
from windvane.store.embedded import EmbeddedEngine
engine = EmbeddedEngine.open(sys.argv[1])
rows = engine.query("SELECT toString(ResponseCode) AS code, count() AS n FROM envoy_access_logs "
                    "WHERE LogName = 'http_gateway' GROUP BY code")
newest = engine.query("SELECT max(toUnixTimestamp64Milli(Time)) AS t FROM samples")["t"][0]
series = 'istio_requests_total{reporter="source",source_workload="istio-ingressgateway"}'
vector = QueryEngine(engine).instant(f"sum by (response_code) ({series})", int(newest)).value
counted = {labels["response_code"]: float(value) for labels, value in zip(vector.metrics, vector.values, strict=True)}
print(json.dumps({"rows": dict(zip(rows["code"], map(int, rows["n"]), strict=True)), "counted": counted}))
engine.close()
"""


def test_sent_counted_and_logged_agree(tmp_path: Path) -> None:
    demo = Demo(tmp_path / "shop", "--rate", "60", "--duration", "15s")
    try:
        demo.wait_for("stopped", within=150)
        sent = demo.stop()
    finally:
        demo.kill()
    assert sent["sent"] > 500
    assert sent["dropped"] == 0
    store = str(tmp_path / "shop" / "data" / "store")
    found = json.loads(subprocess.check_output([sys.executable, "-c", COUNT, store], timeout=60, cwd=tmp_path))
    assert found["rows"] == sent["outcomes"]
    assert found["counted"] == sent["outcomes"]
    assert sum(found["rows"].values()) == sent["sent"]
