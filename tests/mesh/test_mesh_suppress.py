"""What is not told: by the resource's annotation, and by code and resource."""

from __future__ import annotations

from pathlib import Path

import pytest

from windvane.kit.errors import BadInputError
from windvane.mesh.files import FileSource
from windvane.mesh.findings import finding
from windvane.mesh.suppress import Suppression, told

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: a, annotations: {galley.istio.io/analyze-suppress: "%s"}}
spec: {ports: [{name: web, port: %d}]}
"""


def codes(tmp_path: Path, listed: str, port: int = 80) -> list[str]:
    file = tmp_path / "a.yaml"
    file.write_text(SERVICE % (listed, port))
    return [item.code for item in FileSource([file]).load().findings]


@pytest.mark.parametrize(("listed", "left"), [("", ["IST0118"]), ("IST0118", []), ("IST0101, IST0118", []), ("*", [])])
def test_annotations_name_codes(tmp_path: Path, listed: str, left: list[str]) -> None:
    assert codes(tmp_path, listed) == left


def test_what_refuses_a_load_is_told_all_the_same(tmp_path: Path) -> None:
    assert codes(tmp_path, "*", port=0) == ["IST0106"]


@pytest.mark.parametrize(
    ("pattern", "covered"),
    [
        ("IST0118=Service a.shop", True),
        ("IST0118=Service shop/a", True),
        ("IST0118=Service *.shop", True),
        ("IST0118=*", True),
        ("IST0118=Service a.other", False),
        ("IST0101=*", False),
    ],
)
def test_patterns_name_a_code_and_resources(pattern: str, covered: bool) -> None:
    found = [finding("IST0118", "", resource="Service shop/a")]
    assert list(told(found, [Suppression.parse(pattern)])) == ([] if covered else found)


@pytest.mark.parametrize("text", ["", "IST0118", "IST0118=", "nonsense=Service a.shop"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(BadInputError):
        Suppression.parse(text)
