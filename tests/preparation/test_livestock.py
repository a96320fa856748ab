"""Livestock out of a checkout: who is in which split, and where joints lie in the cut pictures.

The stored numbers are those of a script by which the data set was made first, on the same drawn checkout.
"""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.errors import InputError
from rlepose.pose.joint_sets import LIVESTOCK
from rlepose.preparation.livestock import make_livestock
from rlepose.preparation.prepare import prepare
from rlepose.preparation.sources import SOURCES

# In the published names horses and sheep have a number of the picture last, and cattle of farm C two ways of counting.
HORSES = [f"{herd}-{horse}-{number}-_png" for number in (1, 2) for herd in ("zu", "dao") for horse in range(1, 6)]
SHEEP = [f"{side}-{number}-_png" for side, count in (("right", 6), ("left", 24)) for number in range(count, 0, -1)]
CATTLE = {
    "A": ["right_2_png", "left_10_png", "left_9_png"],
    "B": ["79949555_png", "1724318036680cow1_color_png"],
    "C": ["frame_002_jpg", "10_jpg", "9_jpg", "frame_001_jpg", "8_jpg"],
}


# By file: id, group, width, height, and the sum of box and keypoints, of each animal.
# fmt: off
EXPECTED = {
    "horse_train": [
        (1, 1009, 149, 95, 1760.5), (2, 1002, 224, 141, 2698.12), (3, 1005, 147, 94, 1687.5),
        (4, 1008, 224, 146, 2624.47), (5, 1001, 145, 93, 1758.5), (6, 1004, 224, 147, 2552.65),
        (8, 1000, 224, 140, 2697.85), (9, 1003, 148, 94, 1699.5), (11, 1009, 146, 93, 1770.5),
        (12, 1002, 224, 146, 2553.83), (13, 1005, 150, 93, 1818.5), (14, 1008, 224, 142, 2557.56),
        (15, 1001, 148, 95, 1748.5), (16, 1004, 224, 142, 2698.34), (18, 1000, 224, 147, 2623.82),
        (19, 1003, 144, 93, 1746.5),
    ],
    "horse_val": [
        (0, 1006, 224, 141, 2566.42), (10, 1006, 224, 145, 2625.05),
    ],
    "sheep_train": [
        (20, 2000, 224, 141, 2566.42), (21, 2000, 224, 143, 2698.42), (22, 2000, 224, 143, 2625.87),
        (23, 2000, 144, 93, 1746.5), (24, 2000, 147, 95, 1736.5), (25, 2000, 150, 94, 1723.5),
        (26, 2000, 224, 147, 2623.82), (27, 2000, 224, 143, 2556.76), (28, 2000, 224, 145, 2698.3),
        (29, 2000, 146, 94, 1675.5), (30, 2000, 149, 93, 1806.5), (31, 2000, 145, 95, 1712.5),
        (32, 2000, 224, 142, 2698.34), (33, 2000, 224, 143, 2641.17), (34, 2000, 224, 145, 2554.93),
        (35, 2000, 148, 95, 1748.5), (36, 2000, 144, 94, 1651.5), (44, 2100, 224, 148, 2623.1),
        (45, 2100, 224, 144, 2555.89), (46, 2100, 224, 140, 2713.07), (47, 2100, 145, 94, 1663.5),
        (48, 2100, 148, 93, 1794.5),
    ],
    "sheep_val": [
        (37, 2000, 147, 93, 1782.5), (38, 2000, 224, 142, 2557.56), (39, 2000, 224, 144, 2698.44),
        (40, 2001, 224, 144, 2625.46), (49, 2100, 144, 95, 1700.5),
    ],
    "cattle_train": [
        (50, 3000, 147, 94, 1687.5), (51, 3000, 224, 141, 2698.12), (52, 3000, 149, 95, 1760.5),
        (53, 3100, 224, 146, 2624.47), (54, 3100, 145, 93, 1758.5),
    ],
    "cattle_val": [
        (55, 3200, 224, 145, 2625.05), (56, 3200, 224, 140, 2697.85), (57, 3200, 150, 95, 1772.5),
    ],
}
# fmt: on


def folders() -> Iterator[tuple[str, str, str, list[str]]]:
    """(species, annotation file, picture folder, names) in the layout of the repository's data_process/."""
    for species, names in (("horse", HORSES), ("sheep", SHEEP)):
        for start, split in enumerate(("test", "train", "val")):
            file = f"{species}/annotations/{split}_annotations.coco.json"
            yield species, file, f"{species}/images/{split}", names[start::3]
    for farm, names in CATTLE.items():
        yield "cattle", f"cattle/{farm}/annotations/_annotations.coco.json", f"cattle/{farm}/images", names


def draw(path: Path, number: int) -> dict[str, Any]:
    """A picture whose joints are white dots on grey; every second is large, and one animal reaches over the border."""
    side = 4 if number % 2 else 1
    width, height = 150 * side, 100 * side
    box = [(20 + number % 7) * side, (10.5 + number % 3) * side, 110 * side, 70 * side]
    if number == 4:
        box[0] = -5
    joints = np.array([(40 + 5 * j, 20 + 3 * (j * 7 % 18), (number + j) % 3) for j in range(18)], float)
    joints[:, :2] = joints[:, :2] * side + 0.25
    picture = np.full((height, width, 3), 90, np.uint8)
    for x, y, visible in joints:
        if visible:
            cv2.circle(picture, (round(x), round(y)), 2 * side, (255, 255, 255), -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture)
    image = {"file_name": path.name, "width": width, "height": height}
    return {"image": image, "bbox": box, "keypoints": joints.ravel().tolist()}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clone")
    number = 0
    for species, file, folder, names in folders():
        images, annotations = [], []
        for identity, name in enumerate(names):
            person = draw(root / "data_process" / folder / f"{name}.rf.{number:04x}.jpg", number)
            images.append({"id": identity, **person.pop("image")})
            annotations.append({"id": identity, "image_id": identity, "category_id": 1, **person})
            number += 1
        categories = [{"id": 0, "name": "animals"}, {"id": 1, "name": species, "keypoints": [*map(str, range(18))]}]
        path = root / "data_process" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return root


@pytest.fixture(scope="module")
def made(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("livestock")
    make_livestock(checkout, root)
    return root


def read(root: Path, name: str) -> dict[str, Any]:
    return json.loads((root / "annotations" / f"{name}.json").read_text())


@pytest.mark.parametrize("name", EXPECTED)
def test_splits_numbers_groups_and_labels_are_those_of_the_first_script(made: Path, name: str) -> None:
    tree, expected = read(made, name), EXPECTED[name]
    found = [(image["id"], image["group"], image["width"], image["height"]) for image in tree["images"]]
    assert found == [row[:-1] for row in expected]
    sums = [sum(person["bbox"]) + sum(person["keypoints"]) for person in tree["annotations"]]
    np.testing.assert_allclose(sums, [row[-1] for row in expected], atol=0.03)


def test_one_file_has_all_species(made: Path) -> None:
    for split in ("train", "val"):
        tree, parts = (
            read(made, f"livestock_{split}"),
            [read(made, f"{n}_{split}") for n in ("horse", "sheep", "cattle")],
        )
        for key in ("images", "annotations"):
            assert tree[key] == [entry for part in parts for entry in part[key]]
        assert {person["species"] for person in tree["annotations"]} == {"horse", "sheep", "cattle"}
        assert tree["categories"][0]["name"] == "animal" and parts[0]["categories"][0]["name"] == "horse"
        assert "Yiwei Wang et al., LivestockKeypoints v1.0, CC BY 4.0" in tree["info"]["description"]


@pytest.mark.parametrize("split", ["train", "val"])
def test_joints_and_boxes_lie_where_the_cut_picture_shows_them(made: Path, split: str) -> None:
    tree = read(made, f"livestock_{split}")
    for image, person in zip(tree["images"], tree["annotations"], strict=True):
        picture = cv2.imread(str(made / "images" / split / image["file_name"]), cv2.IMREAD_GRAYSCALE)
        assert picture.shape == (image["height"], image["width"]) and max(picture.shape) <= 224
        joints = np.array(person["keypoints"]).reshape(-1, 3)
        assert person["num_keypoints"] == 12 and (joints[joints[:, 2] == 0] == 0).all()
        for x, y, visible in joints:
            assert not visible or picture[round(y), round(x)] > 200
        x, y, width, height = person["bbox"]
        assert 0 <= x < x + width <= image["width"] + 0.01 and 0 <= y < y + height <= image["height"] + 0.01
        assert person["area"] == pytest.approx(width * height, rel=1e-3)


def test_their_oks_constants_and_pairs_are_known(made: Path, caplog: pytest.LogCaptureFixture) -> None:
    skeleton = CocoFile(made / "annotations" / "sheep_val.json").skeleton()
    assert skeleton.oks_sigmas == LIVESTOCK.oks_sigmas and skeleton.bones == LIVESTOCK.bones
    assert skeleton.flip_pairs == [(9, 11), (10, 12), (14, 16), (15, 17)]
    assert not caplog.records


def test_the_checkouts_folder_of_data_does_as_well(checkout: Path, made: Path, tmp_path: Path) -> None:
    make_livestock(checkout / "data_process", tmp_path)
    assert read(tmp_path, "livestock_val") == read(made, "livestock_val")


def test_the_command_makes_it_once(
    run_script: Callable[..., subprocess.CompletedProcess[str]], checkout: Path, tmp_path: Path
) -> None:
    command = ("prepare_data.py", "livestock", "--root", tmp_path)
    result = run_script(*command)
    assert (
        result.returncode == 2 and "is made from a repository; git clone https://github.com/yww0411/" in result.stderr
    )
    result = run_script(*command, "--source", checkout)
    assert result.returncode == 0, result.stderr
    assert "CC BY 4.0" in result.stdout and "livestock_train.json: 18 joints" in result.stdout
    result = run_script(*command)  # all is there
    assert result.returncode == 0 and "cutting" not in result.stdout


def test_what_an_interrupted_run_left_is_made_anew(checkout: Path, made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "livestock")
    (tmp_path / "livestock" / "annotations" / "sheep_val.json").unlink()
    (tmp_path / "livestock" / "images" / "val" / "00000.jpg").write_bytes(b"")
    prepare(SOURCES["livestock"], tmp_path / "livestock", checkout)
    assert (tmp_path / "livestock" / "images" / "val" / "00000.jpg").stat().st_size > 0
    assert read(tmp_path / "livestock", "sheep_val") == read(made, "sheep_val")


def test_a_checkout_for_a_data_set_without_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="--source: COCO 2017 keypoints is not made from a repository; remove this option"
    ):
        prepare(SOURCES["coco"], tmp_path, tmp_path)


def rename_a_sheep(data: Path) -> None:
    path = data / "sheep/annotations/val_annotations.coco.json"
    path.write_text(path.read_text().replace("left-", "above-", 1))


def drop_a_joint(data: Path) -> None:
    path = data / "cattle/B/annotations/_annotations.coco.json"
    tree = json.loads(path.read_text())
    tree["annotations"][1]["keypoints"].pop()
    path.write_text(json.dumps(tree))


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (shutil.rmtree, r"train_annotations\.coco\.json: missing; pass --source with the folder of a clone"),
        (lambda data: next((data / "cattle/A/images").iterdir()).unlink(), r"_png\.rf\..*cannot read the picture"),
        (rename_a_sheep, r"above-\d+-_png.*: expected a name that starts with left- or right-"),
        (drop_a_joint, r"cattle/B/.*: annotation 1: expected a box and 18 joints with finite numbers"),
    ],
)
def test_what_is_no_checkout_of_v1_is_named(
    checkout: Path, tmp_path: Path, damage: Callable[[Path], Any], problem: str
) -> None:
    shutil.copytree(checkout, tmp_path / "clone")
    damage(tmp_path / "clone" / "data_process")
    with pytest.raises(InputError, match=problem):
        make_livestock(tmp_path / "clone", tmp_path / "made")
    assert not (tmp_path / "made" / "annotations").exists()
