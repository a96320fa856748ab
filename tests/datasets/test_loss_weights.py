"""Factors of the loss by joint and by category: what they do to labels, losses and gradients."""

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from rlepose.config.config import Config
from rlepose.config.names import differences
from rlepose.config.reading import config_from_dict, load_config
from rlepose.datasets.crops import PoseDataset, collate
from rlepose.datasets.formats.coco import persons_from_annotations
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.datasets.labelled import labelled_persons
from rlepose.datasets.lifting_codec import LIFTED_SKELETON
from rlepose.datasets.loss_weights import category_factors, joint_factors
from rlepose.datasets.of_config import training_dataset
from rlepose.errors import InputError
from rlepose.jobs.train import train
from rlepose.losses import Criterion, build_criterion
from rlepose.losses.options import AnyLoss
from rlepose.options import variants
from rlepose.pose.codec import PoseOutput, heatmap_output
from rlepose.pose.heatmaps import Heatmaps, pixel_positions
from rlepose.pose.skeleton import H36M, skeleton_from_names
from rlepose.tasks.lifting import Lifting
from tests.training.running import ALONE

NOSE, LEFT_WRIST = 0, 9
CAT = {"id": 1, "name": "cat", "keypoints": ["nose", "left_paw", "right_paw"], "skeleton": []}
DOG = {**CAT, "id": 2, "name": "dog"}
NAMES = skeleton_from_names(("nose", "left_wrist", "right_wrist"))


@pytest.fixture
def animals(write_coco: Callable[..., Path], tmp_path: Path) -> Path:
    cv2.imwrite(str(tmp_path / "picture.png"), np.zeros((80, 100, 3), np.uint8))
    return write_coco([{"category_id": 1}, {"category_id": 2}, {"category_id": 1}], categories=[CAT, DOG])


def labels_of(config: Config, count: int = 8) -> tuple[Tensor, Tensor]:
    dataset = training_dataset(config)
    batch = collate([dataset[0, person] for person in range(count)])
    return batch.target, batch.weight


def scored(name: str, target: Tensor, weight: Tensor, dims: int = 2) -> tuple[Tensor, Tensor]:
    """Losses (B,) of one random output, and the gradient of their mean by what the network predicts, (B, K, …)."""
    torch.manual_seed(0)
    criterion: Criterion = build_criterion(variants(AnyLoss)[name](), weight.shape[1], dims)
    persons, joints, _ = weight.shape
    if name == "heatmap_mse":
        values = torch.rand(persons, joints, 16, 12).requires_grad_()
        x, y = (pixel_positions(count, 4, "classic", torch.device("cpu")) for count in (12, 16))
        output, predicted = heatmap_output(Heatmaps(values, x, y)), values
    else:
        predicted = (torch.rand(persons, joints, dims) - 0.5).requires_grad_()
        output = PoseOutput(predicted, torch.rand(persons, joints, dims) * 0.3 + 0.05)
    losses = criterion(output, target, weight)
    losses.mean().backward()
    assert predicted.grad is not None
    return losses.detach(), predicted.grad


@pytest.mark.parametrize("name", list(variants(AnyLoss)))
def test_the_gradient_of_a_joint_is_multiplied_by_its_weight(tiny_config: Callable[..., Config], name: str) -> None:
    _, plain = scored(name, *labels_of(tiny_config()))
    _, weighted = scored(name, *labels_of(tiny_config("loss.joint_weights={left_wrist: 3, nose: 0.5}")))
    factor = torch.ones(17)
    factor[LEFT_WRIST], factor[NOSE] = 3, 0.5
    torch.testing.assert_close(weighted, plain * factor.view(1, 17, *[1] * (plain.ndim - 2)))
    assert plain[:, LEFT_WRIST].abs().sum() > 0


@pytest.mark.parametrize("options", ["{}", "{left_wrist: 1, nose: 1.0}"])
def test_weights_of_1_change_no_bit(tiny_config: Callable[..., Config], options: str) -> None:
    plain, weighted = labels_of(tiny_config()), labels_of(tiny_config(f"loss.joint_weights={options}"))
    of_persons = labels_of(tiny_config("loss.category_weights={person: 1}"))
    for labels in (weighted, of_persons):
        assert all(torch.equal(ours, theirs) for ours, theirs in zip(labels, plain, strict=True))


@pytest.mark.parametrize("name", ["rle", "basic", "heatmap_mse"])
def test_a_weight_of_0_is_as_if_the_joint_were_unlabelled(tiny_config: Callable[..., Config], name: str) -> None:
    target, weight = labels_of(tiny_config())
    target[:, LEFT_WRIST], weight[:, LEFT_WRIST] = 0, 0
    without = labels_of(tiny_config("loss.joint_weights={left_wrist: 0}"))
    assert torch.equal(without[0], target) and torch.equal(without[1], weight)
    for ours, theirs in zip(scored(name, *without), scored(name, target, weight), strict=True):
        assert torch.equal(ours, theirs)


def test_a_mirrored_crop_weighs_the_joint_that_it_then_shows(tiny_config: Callable[..., Config]) -> None:
    mirrored = tiny_config("augment.flip_prob=1", "loss.joint_weights={left_wrist: 5}")
    _, weight = labels_of(mirrored)
    assert set(weight[:, LEFT_WRIST].unique().tolist()) <= {0.0, 5.0}
    assert weight[:, LEFT_WRIST].max() == 5 and weight.max(dim=2).values[:, 10].max() == 1


def test_all_labels_of_a_category_are_multiplied_by_its_weight(animals: Path) -> None:
    coco = CocoFile(animals, "all")
    table, skeleton = persons_from_annotations(coco, animals.parent), coco.skeleton()
    factors = category_factors({"dog": 0.25}, table)
    joints = joint_factors({"left_paw": 4}, skeleton)
    plain = PoseDataset(table, skeleton, (64, 64), 1.25, hidden_weight=0.5)
    weighted = PoseDataset(
        table, skeleton, (64, 64), 1.25, hidden_weight=0.5, joint_weights=joints, person_weights=factors
    )
    for person, factor in enumerate([1, 0.25, 1]):
        expected = plain[0, person]["weight"] * factor * torch.tensor([[1.0], [4.0], [1.0]])
        assert torch.equal(weighted[0, person]["weight"], expected)


def test_the_names_of_categories_outlive_the_parsed_annotations(animals: Path, tmp_path: Path) -> None:
    for _ in range(2):  # parsed, then kept
        table = labelled_persons(animals, "all", animals.parent, tmp_path / "cache").table
        assert category_factors({"dog": 0.25}, table).tolist() == [1, 0.25, 1]


def test_joints_in_space_are_multiplied_too(tiny_3d_config: Callable[..., Config]) -> None:
    plain, weighted = (labels_of(tiny_3d_config(*options)) for options in ((), ["loss.joint_weights={left_wrist: 3}"]))
    wrist = H36M.names.index("L_Wrist")
    factor = torch.ones(len(H36M), 1)
    factor[wrist] = 3
    assert torch.equal(weighted[0], plain[0]) and torch.equal(weighted[1], plain[1] * factor)
    _, gradient = scored("rle", *weighted, dims=3)
    _, before = scored("rle", *plain, dims=3)
    torch.testing.assert_close(gradient, before * factor)


def test_a_lifting_network_is_trained_with_the_weights(lifting_config: Callable[..., Config]) -> None:
    task = Lifting(lifting_config("loss.joint_weights={left_wrist: 3}"), ALONE)
    weight = task.dataset[[(0, 0), (0, 1)]].weight
    wrist = LIFTED_SKELETON.names.index("L_Wrist")
    assert weight[:, wrist].unique().tolist() == [3] and weight.sum() == 2 * 3 * (16 + 2)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("joint_weights={left_wirst: 2}", r"loss\.joint_weights: no joint left_wirst; .* left_wrist,"),
        ("joint_weights={tail: 0}", r"loss\.joint_weights: no joint tail; the nearest names are "),
        ("category_weights={persons: 2}", r"loss\.category_weights: no category persons .*; the nearest .* person$"),
        ("category_weights={person: 0}", r"loss\.category_weights: all \d+ persons have the weight 0, so nothing is"),
    ],
)
def test_weights_that_cannot_be_meant_are_refused_before_the_first_step(
    tiny_config: Callable[..., Config], option: str, message: str
) -> None:
    config = tiny_config(f"loss.{option}")
    with pytest.raises(InputError, match=message):
        train(config, ALONE)
    assert not list(Path(config.output_dir).rglob("*.pt"))


def test_a_joint_that_a_lifting_network_does_not_predict_has_no_weight(lifting_config: Callable[..., Config]) -> None:
    with pytest.raises(InputError, match=r"loss\.joint_weights: no joint Pelvis"):
        Lifting(lifting_config("loss.joint_weights={Pelvis: 3}"), ALONE)


def test_weights_of_0_for_all_joints_are_refused() -> None:
    with pytest.raises(InputError, match=r"loss\.joint_weights: all 3 joints have the weight 0"):
        joint_factors(dict.fromkeys(NAMES.names, 0.0), NAMES)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("{nose: -1}", "at least 0"),
        ("{nose: heavy}", "a number"),
        ("{nose: .inf}", "a finite number"),
        ("[nose]", r"a mapping \{name: value\}"),
    ],
)
def test_a_weight_is_a_number_from_0(tiny_overrides: list[str], option: str, expected: str) -> None:
    with pytest.raises(InputError, match=rf"--set: loss\.joint_weights: expected {expected}"):
        load_config("configs/synthetic_res18_rle.yaml", [*tiny_overrides, f"loss.joint_weights={option}"])


def test_weights_by_category_are_refused_in_3d(tiny_3d_config: Callable[..., Config]) -> None:
    with pytest.raises(InputError, match=r"loss\.category_weights: .*data\.format=h36m.*; remove it"):
        tiny_3d_config("loss.category_weights={person: 2}")


def test_weights_are_stored_and_a_change_of_them_is_told(tiny_config: Callable[..., Config]) -> None:
    plain, weighted = tiny_config(), tiny_config("loss.joint_weights.left_wrist=2")
    assert config_from_dict(json.loads(json.dumps(weighted.to_dict())), source="stored") == weighted
    assert differences(plain, weighted) == ["loss.joint_weights: None -> {'left_wrist': 2.0}"]
    earlier = plain.to_dict()
    del earlier["loss"]["joint_weights"], earlier["loss"]["category_weights"]
    assert config_from_dict(earlier, source="earlier") == plain
