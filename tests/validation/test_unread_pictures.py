"""Pictures that cannot be read: their persons leave the numbers, which are called partial."""

import dataclasses
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rlepose.config.config import Config
from rlepose.errors import InputError
from rlepose.jobs.validate import validate_checkpoint
from rlepose.pose.pose_arrays import Poses
from rlepose.runtime.checkpoint import load_checkpoint
from rlepose.runtime.distributed import Ranks
from rlepose.validation.validation import Validation
from rlepose.validation.validations import build_validation
from tests.predicting import poses_of, reordered

ALONE = Ranks(0, 1, torch.device("cpu"))
VAL = Path("annotations") / "person_keypoints_val.json"
# Files of the two damaged pictures.
CUT, MISSING = "000000000001.jpg", "000000000002.jpg"


@pytest.fixture
def damaged(synthetic: Path, tmp_path: Path) -> Path:
    """The synthetic data set with one validation picture cut off and one missing."""
    root = tmp_path / "damaged"
    shutil.copytree(synthetic, root)
    (root / "val" / CUT).write_bytes((root / "val" / CUT).read_bytes()[:100])
    (root / "val" / MISSING).unlink()
    return root


def image_ids(root: Path, *files: str) -> list[int]:
    tree = json.loads((root / VAL).read_text())
    return [image["id"] for image in tree["images"] if image["file_name"] in files]


def persons_in(root: Path, *files: str) -> int:
    wanted = image_ids(root, *files)
    return sum(person["image_id"] in wanted for person in json.loads((root / VAL).read_text())["annotations"])


def without(root: Path, *files: str) -> None:
    """Take pictures and their persons out of the validation file."""
    tree = json.loads((root / VAL).read_text())
    gone = image_ids(root, *files)
    tree["images"] = [image for image in tree["images"] if image["id"] not in gone]
    tree["annotations"] = [person for person in tree["annotations"] if person["image_id"] not in gone]
    (root / VAL).write_text(json.dumps(tree))


def near_the_labels(validation: Validation[Any]) -> Poses:
    table = validation.table
    noise = 2 * np.random.default_rng(0).normal(size=(len(table), *table.keypoints.shape[1:]))
    rank = np.linspace(0.2, 0.8, len(table))[:, None].repeat(table.keypoints.shape[1], axis=1)
    return poses_of(table, table.keypoints + noise, rank)


def test_persons_of_unread_pictures_are_not_missed(
    tiny_config: Callable[..., Config], synthetic: Path, damaged: Path
) -> None:
    whole = build_validation(tiny_config(), "gt", ALONE)
    poses = near_the_labels(whole)
    unread = image_ids(synthetic, CUT, MISSING)
    seen = ~np.isin(poses.image_ids, unread)
    partial, _ = whole.evaluator.evaluate(dataclasses.replace(poses, valid=seen, unread_images=tuple(unread)))
    missed, _ = whole.evaluator.evaluate(dataclasses.replace(poses, valid=seen))
    without(damaged, CUT, MISSING)
    others = build_validation(tiny_config(f"data.root={damaged}"), "gt", ALONE)
    expected, _ = others.evaluator.evaluate(reordered(poses, np.flatnonzero(seen)))
    assert partial == expected
    assert partial["gt/AP"] > missed["gt/AP"] > 0


def test_a_validation_without_a_readable_picture_is_refused(
    checkpoint: Callable[..., Path], damaged: Path, tmp_path: Path
) -> None:
    for file in (damaged / "val").iterdir():
        file.write_bytes(b"no picture")
    path = checkpoint(f"data.root={damaged}", "data.on_bad_image=skip", f"data.val_annotations={VAL}")
    without(damaged, MISSING)
    saved = load_checkpoint(path)
    with pytest.raises(InputError, match=r"none of \d+ pictures could be read, so nothing is left"):
        validate_checkpoint(path, saved.config, saved, ["gt"], tmp_path / "out", ALONE)


def test_a_validation_says_which_pictures_it_did_not_read(
    checkpoint: Callable[..., Path], synthetic: Path, damaged: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = checkpoint(f"data.root={damaged}", "data.on_bad_image=skip")
    saved = load_checkpoint(path)
    with caplog.at_level(logging.WARNING, logger="rlepose"):
        metrics = validate_checkpoint(path, saved.config, saved, ["gt"], tmp_path / "out", ALONE)
    assert metrics["gt/unread_pictures"] == 2 and "the numbers are partial: 2 pictures" in caplog.text
    without(damaged, CUT, MISSING)
    of_the_others = validate_checkpoint(path, saved.config, saved, ["gt"], tmp_path / "others", ALONE)
    more = {"gt/unread_pictures": 2, "gt/unread_persons": persons_in(synthetic, CUT)}
    assert metrics == of_the_others | more


def test_persons_read_are_those_judged_and_those_left_out(
    checkpoint: Callable[..., Path], synthetic: Path, damaged: Path, tmp_path: Path
) -> None:
    path = checkpoint(f"data.root={damaged}", "data.on_bad_image=skip")
    saved = load_checkpoint(path)
    validate_checkpoint(path, saved.config, saved, ["gt"], tmp_path / "out", ALONE)
    about = json.loads((tmp_path / "out" / "validation.json").read_text())
    left_out = {"picture missing": persons_in(synthetic, MISSING)}
    assert about["left_out"]["gt"] == left_out | {"in a picture that cannot be read": persons_in(synthetic, CUT)}
    read = len(json.loads((damaged / VAL).read_text())["annotations"])
    assert about["persons"]["gt"] + sum(about["left_out"]["gt"].values()) == read
