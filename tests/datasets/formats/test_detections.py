"""A detector's boxes as persons: which are taken, counted and refused."""

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.datasets.formats.detections import persons_from_detections
from rlepose.datasets.persons import PersonTable
from rlepose.errors import InputError

WriteCoco = Callable[..., Path]

NAN = float("nan")


def detections(annotations: Path, entries: Any, clip: bool = True) -> PersonTable:
    path = annotations.with_name("detections.json")
    path.write_text(json.dumps(entries))
    coco = CocoFile(annotations)
    return persons_from_detections(coco, annotations.parent, path, coco.groups, clip)


def box(**changes: Any) -> dict[str, Any]:
    valid = {"image_id": 1, "category_id": 1, "bbox": [10, 10, 30, 40], "score": 0.5}
    return {key: value for key, value in (valid | changes).items() if value is not ...}


def test_detected_boxes_are_read_with_their_scores(write_coco: WriteCoco) -> None:
    table = detections(write_coco(), [box(score=0.25), box(bbox=[50, 50, 500, 500], score=1)])
    np.testing.assert_array_equal(table.bbox_xywh, [(10, 10, 29, 39), (50, 50, 49, 29)])
    assert table.box_score.tolist() == [0.25, 1] and not table.visible.any()
    assert table.keypoints.shape == (2, 3, 2)


def test_detected_boxes_are_left_as_they_are_where_asked(write_coco: WriteCoco) -> None:
    boxes = [[50.25, 50, 500, 500], [-20, -10, 30, 40], [200, 200, 10, 10]]
    without_inside = [10, 10, 0, 5], [10, 10, 1e-60, 1e-60]  # the latter is none in float32, which tables have
    table = detections(write_coco(), [box(bbox=xywh) for xywh in (*boxes, *without_inside)], clip=False)
    np.testing.assert_array_equal(table.bbox_xywh, boxes)


def test_detections_of_other_categories_and_without_inside_are_left_out(write_coco: WriteCoco) -> None:
    table = detections(write_coco(), [box(category_id=2), box(bbox=[200, 200, 10, 10]), box()])
    assert table.person_ids.tolist() == [2] and table.left_out == {"of category 2": 1, "outside the picture": 1}


def test_detections_on_other_pictures_are_counted(write_coco: WriteCoco, caplog: pytest.LogCaptureFixture) -> None:
    table = detections(write_coco(), [box(image_id=99), box()])
    assert table.person_ids.tolist() == [1] and table.left_out == {"in another picture": 1}
    assert "1 boxes are in other pictures; entry 0 is in picture 99" in caplog.text


@pytest.mark.parametrize("image_id", [[9], None, ...])
def test_detections_without_an_image_id_are_counted(
    write_coco: WriteCoco, caplog: pytest.LogCaptureFixture, image_id: Any
) -> None:
    table = detections(write_coco(), [box(image_id=image_id), box()])
    assert table.person_ids.tolist() == [1]
    assert table.left_out == {"without an image_id that is a whole number": 1}
    assert "left out: 1 × without an image_id that is a whole number" in caplog.text


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([box(category_id=0)] * 2, "no box is of category 1 (left out: 2 × of category 0); correct category_id"),
        (
            [box(image_id=99)],
            "none of its 1 boxes is in one of the pictures: it has the ids 99, and the first one here",
        ),
        ([box(category_id=3), box(image_id=[9])], "no box has an image_id that is a whole number (entry 1 has [9])"),
        ([box(bbox=[200, 200, 10, 10])], "no box is of category 1 in a picture of"),
    ],
)
def test_detections_of_which_none_can_be_used_are_refused(
    write_coco: WriteCoco, entries: list[dict[str, Any]], message: str
) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        detections(write_coco(), entries)


def test_boxes_of_several_categories_are_taken_together(write_coco: WriteCoco, tmp_path: Path) -> None:
    coco = CocoFile(
        write_coco(categories=[{"id": i, "name": f"c{i}", "keypoints": ["nose"]} for i in (1, 2, 3)]), ["c1", "c3"]
    )
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps([box(category_id=i) for i in (3, 2, 1)]))
    table = persons_from_detections(coco, tmp_path, path, coco.groups)
    assert table.person_ids.tolist() == [0, 2]


def test_detections_may_lack_the_category(write_coco: WriteCoco) -> None:
    assert len(detections(write_coco(), [box(category_id=...)])) == 1


def test_a_missing_detection_file_is_refused(write_coco: WriteCoco, tmp_path: Path) -> None:
    coco = CocoFile(write_coco())
    with pytest.raises(InputError, match=r"nowhere\.json: the box file does not exist"):
        persons_from_detections(coco, tmp_path, tmp_path / "nowhere.json", coco.groups)


@pytest.mark.parametrize("content", [{}, [], {"annotations": []}, {"a": 3}, [1], [{"image_id": 1}], {"a.png": []}])
def test_a_file_without_a_box_is_refused(write_coco: WriteCoco, content: Any) -> None:
    with pytest.raises(InputError, match=r"detections\.json: "):
        detections(write_coco(), content)


def test_a_file_that_counts_categories_from_0_is_refused_with_what_it_has(case_folder: Path) -> None:
    folder = case_folder / "detections_category_0"
    coco = CocoFile(folder / "ann.json")
    with pytest.raises(
        InputError, match=r"yolo_boxes\.json: no box is of category 1 \(left out: \d+ × of category 0\)"
    ):
        persons_from_detections(coco, folder / "images", folder / "yolo_boxes.json", coco.groups)


def test_boxes_of_other_categories_are_counted(write_coco: WriteCoco, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="rlepose"):
        detections(write_coco(), [box(), box(category_id=0), box(category_id=0), box(category_id=7)])
    assert "left out: 2 × of category 0, 1 × of category 7" in caplog.text


PICTURES = [{"id": 5, "file_name": "b.png"}, {"id": 7, "file_name": "a.png"}]


@pytest.mark.parametrize("given", ["coco", "results", "names", "json", "npy"])
def test_every_format_of_boxes_gives_the_same_persons(write_coco: WriteCoco, tmp_path: Path, given: str) -> None:
    """Of a.png the box at 20, of b.png that at 10; numbers without names follow the names' order."""
    first, second = [20, 10, 30, 40], [10, 10, 30, 40]
    images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}]  # ids of its own
    content: dict[str, Any] = {
        "coco": {
            "images": images,
            "annotations": [{"image_id": 1, "bbox": first}, {"image_id": 2, "bbox": second}],
        },
        "results": [{"image_id": 7, "bbox": first}, {"image_id": 5, "bbox": second}],
        "names": {"a.png": [first], "b.png": [second]},
        "json": [[first], [second]],
    }
    path = tmp_path / ("boxes.npy" if given == "npy" else "boxes.json")
    if given == "npy":
        np.save(path, [[first], [second]])
    else:
        path.write_text(json.dumps(content[given]))
    coco = CocoFile(write_coco(pictures=PICTURES, persons=[{"image_id": 5}]))
    table = persons_from_detections(coco, tmp_path, path, coco.groups)
    assert dict(zip(table.person_image_ids().tolist(), table.bbox_xywh[:, 0].tolist(), strict=True)) == {7: 20, 5: 10}
    assert table.category_ids.tolist() == [1, 1]


def test_pictures_without_an_entry_by_name_are_counted(write_coco: WriteCoco, caplog: pytest.LogCaptureFixture) -> None:
    """An empty list means nobody, but a picture that is not listed was perhaps not looked at."""
    annotations = write_coco(pictures=[{"file_name": f"{name}.png"} for name in "abcd"])
    assert len(detections(annotations, {"a.png": [[10, 10, 30, 40]], "d.png": []})) == 1
    assert "no boxes for 2 of 4 pictures: b.png: no entry in" in caplog.text


def coco_boxes(*names: str) -> dict[str, Any]:
    """A detector's COCO file: the n-th category has the id n + 1 and one box, which begins at x = 10 n."""
    boxes = [{"image_id": 1, "category_id": n + 1, "bbox": [10 * n, 10, 30, 40]} for n in range(len(names))]
    categories = [{"id": n + 1, "name": name} for n, name in enumerate(names)]
    return {"images": [{"id": 1, "file_name": "picture.png"}], "annotations": boxes, "categories": categories}


@pytest.mark.parametrize(
    ("names", "left"), [(["person", "cow"], 10), (["cow", "person"], 0), (["horse", "Cow"], 10), (["animal"], 0)]
)
def test_categories_of_a_coco_file_are_matched_by_name(write_coco: WriteCoco, names: list[str], left: int) -> None:
    """Ids of different files may collide, and `person` is no cow; the only category of a file needs no name."""
    annotations = write_coco(category={"id": 2, "name": "cow"}, persons=[{"category_id": 2}])
    table = detections(annotations, coco_boxes(*names))
    assert table.bbox_xywh[:, 0].tolist() == [left] and table.category_ids.tolist() == [2]
    assert sum(table.left_out.values()) == len(names) - 1


def test_a_coco_file_without_the_category_is_refused(write_coco: WriteCoco) -> None:
    annotations = write_coco(category={"id": 2, "name": "cow"}, persons=[{"category_id": 2}])
    with pytest.raises(InputError, match=r"none of its categories \(person, dog\) is called cow; rename"):
        detections(annotations, coco_boxes("person", "dog"))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (box(bbox=[1, 2, 3]), "expected bbox [x, y, w, h] and a finite score"),
        (box(bbox=[1, 2, NAN, 4]), "expected bbox [x, y, w, h] and a finite score"),
        (box(bbox=[1, 2, 3, 1e39]), "expected bbox [x, y, w, h] and a finite score"),  # infinite in float32
        (box(score=1e39), "expected bbox [x, y, w, h] and a finite score"),
        (box(bbox=None), "expected bbox [x, y, w, h] and a finite score"),
        (box(bbox="abc"), "expected bbox [x, y, w, h] and a finite score"),
        (box(bbox=["a", 1, 2, 3]), "expected bbox [x, y, w, h] and a finite score"),
        (box(bbox=[1, [2], 3, 4]), "expected bbox [x, y, w, h] and a finite score"),
        (box(score=...), "expected bbox [x, y, w, h] and a finite score"),
        (box(score="high"), "expected bbox [x, y, w, h] and a finite score"),
        (box(score=NAN), "expected bbox [x, y, w, h] and a finite score"),
        (box(score=float("inf")), "expected bbox [x, y, w, h] and a finite score"),
    ],
)
def test_an_impossible_detection_is_refused_by_its_number(
    write_coco: WriteCoco, entry: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=re.escape(f"detections.json: entry 1: {message}")):
        detections(write_coco(), [box(), entry])
