"""The control plane's token: one for all who share the directory, for nobody else's eyes."""

import stat
from pathlib import Path

from windvane.xds.admission import admission_token


def test_all_who_share_the_directory_get_the_same_token(tmp_path: Path) -> None:
    first = admission_token(tmp_path / "data")
    assert len(first) >= 32
    assert admission_token(tmp_path / "data") == first
    assert admission_token(tmp_path / "other") != first


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    admission_token(tmp_path / "data")
    assert stat.S_IMODE((tmp_path / "data" / "ads-token").stat().st_mode) == 0o600
