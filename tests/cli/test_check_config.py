"""`windvane check-config`: what it prints and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from windvane.cli.check_config import command


def test_a_good_and_a_bad_file(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yml", tmp_path / "bad.yml"
    good.write_text("scrape_configs: [{job_name: a}]\nremote_write: [{url: x}]\n")
    bad.write_text(
        "rule_files: [none.yml]\nscrape_configs:\n- job_name: a\n  bearer_token_file: token\n"
        "  tls_config: {ca_file: ca.pem}\n"
    )
    whole = CliRunner().invoke(command, [str(good)])
    assert (whole.exit_code, whole.output) == (
        0,
        f"{good}: valid, 1 job, 0 rule files; not acted on: remote_write\n",
    )
    refused = CliRunner().invoke(command, [str(good), str(bad), "--output", "json"])
    assert refused.exit_code == 1
    found = json.loads(refused.stdout_bytes)
    assert [(one["line"], one["path"]) for one in found] == [
        (5, "scrape_configs[0].tls_config.ca_file"),
        (4, "scrape_configs[0].bearer_token_file"),
        (1, "rule_files"),
    ]
