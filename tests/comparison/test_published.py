"""docs/published.md as suites read it."""

import re
from pathlib import Path

import pytest

from rlepose.comparison.published import published_row

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    ("row", "numbers"),
    [
        ("val-rle", "AP 70.5, AP50 88.5, AP75 77.4"),
        ("mmpose-res50", "AP 70.6, AP50 88.8, AP75 77.6, AR 75.3"),
        ("mmpose-res50-pretrained", "AP 71.9, AP50 89.1, AP75 78.8, AR 76.4"),
        ("reproduced-res50-annotated", "AP 70.3"),
        ("reproduced-res50-detected", "AP 69.2"),
        ("simcc-res50", "AP 72.1, AP50 89.7, AP75 79.8, AR 78.1"),
        ("poseur-hrnet-w32", "AP 76.8, AP50 91.0, AP75 83.5"),
        ("yolo26-n", "AP 57.2, AP50 83.3"),
        ("rtmo-s", "AP 67.7, AP50 87.8, AP75 73.7, AR 71.5"),
        ("edpose-res50", "AP 71.7, AP50 89.7, AP75 78.8, APM 66.2, APL 79.7"),
        ("grouppose-res50", "AP 72.0, AP50 89.4, AP75 79.1, APM 66.8, APL 79.7"),
        ("detrpose-x", "AP 73.3, AP50 90.5, AP75 79.4, AR 79.4"),
        ("rfdetr-keypoints", "AP 71.8"),
        ("h36m-srnet-rle", "MPJPE 36.3"),
    ],
)
def test_a_row_of_the_page_is_read_with_its_metrics(row: str, numbers: str) -> None:
    assert published_row(DOCS, f"published.md#{row}") == numbers


def test_every_row_of_the_page_has_an_id_of_its_own_and_all_its_cells() -> None:
    tables = re.findall(r"^\| id \|.*\n\|[-|]+\n(?:\|.*\n?)+", (DOCS / "published.md").read_text("utf-8"), re.MULTILINE)
    lines = [line for table in tables for line in table.splitlines()[2:]]
    ids = [line.split("|")[1].strip() for line in lines]
    assert len(ids) > 70 and len(set(ids)) == len(ids)
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1, table
