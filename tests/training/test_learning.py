"""Every head learns: a few pictures by heart."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rlepose.config.reading import config_from_dict
from rlepose.datasets.crops import PoseDataset, collate
from rlepose.datasets.formats.coco import persons_from_annotations
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.datasets.persons import PersonTable
from rlepose.evaluation.pck import pck, reference_length
from rlepose.losses import LOSSES, build_criterion
from rlepose.models.pose_model import build_model
from rlepose.pose.codec import decode
from rlepose.pose.skeleton import Skeleton
from rlepose.tasks.top_down_step import TopDownStep
from rlepose.training.optimization import build_optimizer
from rlepose.training.options import AdamConfig

PLAIN = {"name": "regression", "normalize_features": False}


@pytest.mark.parametrize(
    ("head", "loss"),
    [
        (PLAIN, {"name": "l1"}),
        (PLAIN, {"name": "rle"}),
        (PLAIN, {"name": "rle", "form": "paper"}),
        ({"name": "integral", "deconv_width": 32}, {"name": "l1"}),
        ({"name": "heatmap", "deconv_width": 32}, {"name": "heatmap_mse"}),
    ],
    ids=lambda options: "_".join(value for value in options.values() if isinstance(value, str)),
)
def test_eight_real_pictures_are_learned_by_heart(real_data: Path, head: dict[str, Any], loss: dict[str, str]) -> None:
    """PCK@0.1 becomes 1 on the training pictures themselves: the whole path can represent what it is shown."""
    lspet = real_data / "lspet"
    coco = CocoFile(lspet / "annotations" / "lspet_val.json")
    table = persons_from_annotations(coco, lspet / "images" / "val").select(np.arange(0, 64, 8))
    learn_by_heart(table, coco.skeleton(), head, loss)


def test_hands_are_learned_by_heart(dataset_files: Callable[[str], Path]) -> None:
    root = dataset_files("coco_hands")
    coco = CocoFile(root / "annotations" / "hands_train.json")
    table = persons_from_annotations(coco, root / "train2017").select(np.arange(4))
    learn_by_heart(table, coco.skeleton(), PLAIN, {"name": "rle"}, "test_convnext")


def test_animals_of_different_joints_are_learned_by_heart_with_one_head(dataset_files: Callable[[str], Path]) -> None:
    root = dataset_files("ap10k")
    tree = json.loads((root / "annotations" / "ap10k-train-split1.json").read_text())
    ox = next(category for category in tree["categories"] if category["name"] == "ox")
    ox["keypoints"] = ["left_horn", "right_horn", *ox["keypoints"][2:7]]
    for annotation in tree["annotations"]:
        if annotation["category_id"] == ox["id"]:
            annotation["keypoints"] = annotation["keypoints"][: 3 * len(ox["keypoints"])]
    path = root / "annotations" / "with_oxen.json"
    path.write_text(json.dumps(tree))
    coco = CocoFile(path, "all")
    table = persons_from_annotations(coco, root / "data")
    assert len(coco.groups) == 2 and set(table.category_ids.tolist()) == {1, 2, 3}
    learn_by_heart(table, coco.skeleton(), PLAIN, {"name": "rle"}, "test_convnext")


def test_animals_are_learned_by_heart(dataset_files: Callable[[str], Path]) -> None:
    root = dataset_files("ap10k")
    coco = CocoFile(root / "annotations" / "ap10k-train-split1.json", "all")
    learn_by_heart(
        persons_from_annotations(coco, root / "data"), coco.skeleton(), PLAIN, {"name": "rle"}, "test_convnext"
    )


def learn_by_heart(
    table: PersonTable, skeleton: Skeleton, head: dict[str, Any], loss: dict[str, str], backbone: str = "resnet18"
) -> None:
    """Train on all persons of a table until PCK@0.1 of the box is 1; fails after 400 steps."""
    torch.manual_seed(0)
    dataset = PoseDataset(table, skeleton, (64, 64), box_scale=1.25)
    batch = collate([dataset[0, person] for person in range(len(table))])
    model_options = {"backbone": {"name": backbone, "pretrained": False}, "head": head}
    config = config_from_dict({"name": "few", "model": model_options, "loss": loss})
    joints = len(skeleton)
    model = build_model(config.model, joints, LOSSES[config.loss.name].needs_sigma).to(
        memory_format=torch.channels_last
    )
    step = TopDownStep(model, build_criterion(config.loss, joints))
    optimizer = build_optimizer(AdamConfig(lr=3e-3), step.parameters())
    reference = reference_length("box", table.keypoints, table.visible, table.bbox_xywh, skeleton)

    def correct() -> float | None:
        with torch.no_grad():
            mu = model.eval()(batch.image).mu.numpy()
        model.train()
        keypoints, _ = decode(mu, None, dataset.frames())
        return pck(keypoints, table.keypoints, table.visible, reference, 0.1)

    for number in range(400):
        optimizer.zero_grad()
        step(batch).per_person.mean().backward()
        optimizer.step()
        if number % 20 == 19 and correct() == 1.0:
            return
    pytest.fail(f"PCK@0.1 is {correct()} after 400 steps")
