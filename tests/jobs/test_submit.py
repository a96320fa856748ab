"""The file for COCO's test-dev server: made without labels, named and laid out as the server wants it."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rlepose.config.config import Config
from rlepose.config.reading import with_overrides
from rlepose.errors import InputError
from rlepose.jobs.submit import submit_checkpoint
from rlepose.losses import build_criterion
from rlepose.models.pose_model import build_model
from rlepose.pose.skeleton import COCO, Skeleton, skeleton_from_names
from rlepose.runtime.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from rlepose.runtime.distributed import Ranks

ALONE = Ranks(0, 1, torch.device("cpu"))
NAME = "person_keypoints_test-dev2017_tiny_results"


def write(path: Path, tree: Any) -> Path:
    path.write_text(json.dumps(tree))
    return path


@pytest.fixture
def config(synthetic: Path, tmp_path: Path, tiny_config: Callable[..., Config]) -> Config:
    """A test set: the synthetic validation pictures, of which only an image info file in COCO's form is known."""
    pictures = json.loads((synthetic / "annotations" / "person_keypoints_val.json").read_text())["images"]
    info = {"images": pictures, "categories": [{"id": 7, "name": "dog"}, {"id": 1, "name": "person"}]}
    return tiny_config(
        "name=tiny",
        f"data.test_image_info={write(tmp_path / 'image_info.json', info)}",
        "data.test_images=val",
        "data.val_annotations=no.json",
        "model.backbone.name=test_resnet",
        "loss.name=laplace",
    )


@pytest.fixture
def boxes(config: Config, tmp_path: Path) -> Path:
    """Two boxes on each picture, far enough apart to stay, and each of them twice."""
    pictures = json.loads(Path(config.data.test_image_info).read_text())["images"]
    found = [
        {"image_id": p["id"], "category_id": 1, "bbox": [x, 2, p["width"] / 3, p["height"] / 2], "score": 0.9}
        for p in pictures
        for x in (1, p["width"] / 2)
    ]
    return write(tmp_path / "boxes.json", [*found, *found, {**found[0], "category_id": 7}])


def checkpoint_of(config: Config, path: Path, skeleton: Skeleton = COCO) -> Checkpoint:
    torch.manual_seed(0)
    model, criterion = build_model(config.model, len(skeleton), True), build_criterion(config.loss, len(skeleton))
    states = model.state_dict(), criterion.state_dict()
    save_checkpoint(path, Checkpoint(config, skeleton, *states, {}, {}, {}, []))
    return load_checkpoint(path)


def test_a_submission_has_the_servers_names_and_format(
    run_script: Callable[..., Any], config: Config, boxes: Path, tmp_path: Path
) -> None:
    checkpoint_of(config, tmp_path / "best.pt")
    command = ["--checkpoint", tmp_path / "best.pt", "--split", "test-dev", "--boxes", boxes, "--out", tmp_path / "out"]
    result = run_script("validate.py", *command)
    assert result.returncode == 0, result.stderr
    assert {file.name for file in (tmp_path / "out").iterdir()} == {f"{NAME}.json", f"{NAME}.zip"}
    with zipfile.ZipFile(tmp_path / "out" / f"{NAME}.zip") as archive:
        assert archive.namelist() == [f"{NAME}.json"]
        poses = json.loads(archive.read(f"{NAME}.json"))
    pictures = json.loads(Path(config.data.test_image_info).read_text())["images"]
    assert sorted(pose["image_id"] for pose in poses) == sorted(2 * [picture["id"] for picture in pictures])
    for pose in poses:
        assert pose.keys() == {"image_id", "category_id", "keypoints", "score"}
        assert pose["category_id"] == 1
        assert len(pose["keypoints"]) == 51
        assert all(isinstance(number, float) for number in [*pose["keypoints"], pose["score"]])


def test_the_configs_boxes_are_taken_where_none_are_named(config: Config, boxes: Path, tmp_path: Path) -> None:
    config = with_overrides(config, [f"data.test_detections={boxes}"])
    checkpoint = checkpoint_of(config, tmp_path / "best.pt")
    assert submit_checkpoint(tmp_path / "best.pt", config, checkpoint, None, tmp_path / "out", ALONE).exists()


@pytest.mark.parametrize(("detection_boxes", "poses"), [("clipped", 1), ("unchanged", 2)])
def test_the_test_sets_boxes_are_cut_as_the_config_says(
    config: Config, tmp_path: Path, detection_boxes: str, poses: int
) -> None:
    """Of a box beside its picture nothing is left where boxes are cut."""
    picture = json.loads(Path(config.data.test_image_info).read_text())["images"][0]
    inside, beside = [2, 2, 20, 40], [picture["width"] + 5, 2, 20, 40]
    entries = [{"image_id": picture["id"], "category_id": 1, "bbox": box, "score": 0.9} for box in (inside, beside)]
    boxes = write(tmp_path / "two_boxes.json", entries)
    config = with_overrides(config, [f"data.detection_boxes={detection_boxes}", "eval.nms_threshold=1.1"])
    checkpoint = checkpoint_of(config, tmp_path / "best.pt")
    submitted = submit_checkpoint(tmp_path / "best.pt", config, checkpoint, str(boxes), tmp_path / "out", ALONE)
    assert len(json.loads(submitted.with_suffix(".json").read_text())) == poses


@pytest.mark.parametrize("category", ["all", "[person, dog]"])
def test_persons_are_submitted_whatever_was_trained_on(
    config: Config, boxes: Path, tmp_path: Path, category: str
) -> None:
    config = with_overrides(config, [f"data.category={category}"])
    checkpoint = checkpoint_of(config, tmp_path / "best.pt")
    submitted = submit_checkpoint(tmp_path / "best.pt", config, checkpoint, str(boxes), tmp_path / "out", ALONE)
    assert {pose["category_id"] for pose in json.loads(submitted.with_suffix(".json").read_text())} == {1}


@pytest.mark.parametrize("named", [None, "gt"])
def test_boxes_must_come_from_a_detector(config: Config, named: str | None, tmp_path: Path) -> None:
    checkpoint = checkpoint_of(config, tmp_path / "best.pt")
    with pytest.raises(InputError, match=r"no annotated boxes; pass a detection file .* with --boxes FILE"):
        submit_checkpoint(tmp_path / "best.pt", config, checkpoint, named, tmp_path, ALONE)


def test_other_joints_than_cocos_are_refused(config: Config, boxes: Path, tmp_path: Path) -> None:
    other = skeleton_from_names(COCO.names[::-1])
    checkpoint = checkpoint_of(config, tmp_path / "best.pt", other)
    with pytest.raises(InputError, match="the server expects COCO's 17 in their order"):
        submit_checkpoint(tmp_path / "best.pt", config, checkpoint, str(boxes), tmp_path, ALONE)


def test_other_joints_are_refused_before_boxes_are_asked_for(config: Config, tmp_path: Path) -> None:
    checkpoint = checkpoint_of(config, tmp_path / "best.pt", skeleton_from_names(COCO.names[::-1]))
    with pytest.raises(InputError, match="the server expects COCO's 17"):
        submit_checkpoint(tmp_path / "best.pt", config, checkpoint, None, tmp_path, ALONE)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"images": ...}, "no list 'images'"),
        ({"categories": ...}, "no list 'categories'"),
        ({"categories": [{"id": 1, "name": "dog"}]}, "no category 'person', only dog; download COCO"),
        ({"images": []}, "none of its 48 boxes is in one of the pictures"),
    ],
)
def test_a_poor_image_info_file_is_refused(
    config: Config, boxes: Path, tmp_path: Path, change: dict[str, Any], complaint: str
) -> None:
    checkpoint = checkpoint_of(config, tmp_path / "best.pt")
    info = Path(config.data.test_image_info)
    tree = json.loads(info.read_text()) | change
    write(info, {key: value for key, value in tree.items() if value is not ...})
    with pytest.raises(InputError, match=complaint):
        submit_checkpoint(tmp_path / "best.pt", config, checkpoint, str(boxes), tmp_path, ALONE)


def test_a_file_without_persons_is_refused(config: Config, tmp_path: Path) -> None:
    checkpoint = checkpoint_of(config, tmp_path / "best.pt")
    empty = write(tmp_path / "boxes.json", [])
    with pytest.raises(InputError, match=r"boxes\.json: expected boxes, got an empty list"):
        submit_checkpoint(tmp_path / "best.pt", config, checkpoint, str(empty), tmp_path, ALONE)
