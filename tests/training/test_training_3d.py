"""Training from pictures to space, from the config to MPJPE."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rlepose.config.config import Config
from rlepose.datasets.crops import CropBatch, PoseDataset, collate
from rlepose.datasets.of_config import training_dataset
from rlepose.drawn_people.people_in_space import FILES, write_h36m
from rlepose.errors import InputError
from rlepose.jobs.export import export_checkpoint
from rlepose.jobs.train import train
from rlepose.jobs.validate import validate_checkpoint
from rlepose.pose.skeleton import H36M, H36M_ROOT
from rlepose.runtime.checkpoint import load_checkpoint
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.experiment import results_folder
from tests.training.running import experiment_of, trainer_of

ALONE = Ranks(0, 1, torch.device("cpu"))


def batch_of(dataset: PoseDataset, persons: range) -> CropBatch:
    return collate([dataset[0, person] for person in persons])


def lines(config: Config) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (experiment_of(config).folder / "metrics.jsonl").read_text().splitlines()]


def test_a_run_ends_with_errors_in_mm_and_its_checkpoint_validates_alike(
    tiny_3d_config: Callable[..., Config], tmp_path: Path
) -> None:
    config = tiny_3d_config()
    metrics = train(config, ALONE)
    assert np.isfinite(metrics["MPJPE"]) and metrics["PA_MPJPE"] < metrics["MPJPE"]
    assert lines(config)[-1]["MPJPE"] == metrics["MPJPE"]
    best = experiment_of(config).best
    checkpoint = load_checkpoint(best)
    assert checkpoint.progress["best"] == metrics["MPJPE"]
    out = results_folder(best)
    again = validate_checkpoint(best, checkpoint.config, checkpoint, ["gt"], out, ALONE)
    assert again["MPJPE"] == pytest.approx(metrics["MPJPE"], rel=1e-5)
    assert {path.name for path in out.iterdir()} == {
        "metrics.json",
        "validation.json",
        "keypoints_gt.json",
        "persons_gt.png",
    }
    exported = export_checkpoint(
        best, checkpoint.config, checkpoint, "torchscript", "float32", tmp_path / "x.torchscript"
    )
    assert exported.tolerable and exported.apart.shape == (16, 18)
    calibrated = validate_checkpoint(best, checkpoint.config, checkpoint, ["gt"], out, ALONE, calibration=True)
    assert {"NLL", "calibration_error", "AURC"} <= calibrated.keys() and "NLL_relative" not in calibrated
    report = json.loads((out / "calibration.json").read_text())
    assert set(report["joints"]) == set(H36M.names) - {H36M.names[H36M_ROOT]}
    assert (out / "density.png").stat().st_size > 0


def test_a_mixed_run_that_was_stopped_ends_with_the_bits_of_one_that_was_not(
    tiny_3d_config: Callable[..., Config],
) -> None:
    options = ("train.validate_every=9", "eval.pictures=0")
    straight = tiny_3d_config("name=straight", "train.epochs=2", *options)
    train(straight, ALONE)
    train(tiny_3d_config("name=stopped", *options), ALONE)
    stopped = tiny_3d_config("name=stopped", "train.epochs=2", *options)
    train(stopped, ALONE, resume=True)
    ours, theirs = (load_checkpoint(experiment_of(config).last) for config in (stopped, straight))
    assert all(torch.equal(ours.model[key], theirs.model[key]) for key in theirs.model)
    assert all(torch.equal(ours.criterion[key], theirs.criterion[key]) for key in theirs.criterion)


@pytest.mark.parametrize(("loss", "head"), [("{name: rle}", "regression"), ("{name: l1}", "integral")])
def test_a_few_pictures_are_learned_by_heart(tiny_3d_config: Callable[..., Config], loss: str, head: str) -> None:
    head_options = "{name: integral, depth_bins: 16, deconv_width: 64}" if head == "integral" else "{}"
    config = tiny_3d_config(
        f"loss={loss}",
        f"model={{backbone: {{name: resnet10t}}, head: {head_options}}}",
        "augment={flip_prob: 0, scale: 0}",
        "train.clip_grad_norm=null",
        "train.optimizer.lr=0.005",
    )
    trainer = trainer_of(config)
    batch = batch_of(trainer.task.dataset, range(0, 160, 20))
    trainer.step_module.train()
    for _ in range(80):
        trainer.step(batch)
    with torch.no_grad():
        mu = trainer.task.step.model(batch.image).mu
    known = batch.weight[..., 2] > 0
    error = (mu - batch.target)[known] * torch.tensor([1, 1, 2000.0])
    assert error[:, 2].abs().mean() < 60
    assert error[:, :2].abs().mean() < 0.03


def test_persons_without_depth_teach_nothing_of_it(tiny_3d_config: Callable[..., Config]) -> None:
    trainer = trainer_of(tiny_3d_config())
    assert [len(trainer.task.dataset), trainer.task.order.num_persons, trainer.task.order.num_extra] == [170, 160, 10]
    trainer.optimizer.param_groups[0]["lr"] = 0.0
    trainer.step(batch_of(trainer.task.dataset, range(160, 168)))
    for layer in (trainer.task.step.model.head.coordinates, trainer.task.step.model.head.scales):
        gradient = layer.weight.grad.view(18, 3, -1)
        assert not gradient[:, 2].any()
        assert gradient[[*range(7), 8], :2].any(dim=-1).all()
    in_space, in_plane = trainer.task.step.criterion.likelihoods
    assert not any(p.grad is not None and p.grad.any() for p in in_space.parameters())
    assert any(p.grad.any() for p in in_plane.parameters())


def test_a_mirrored_crop_has_the_depths_of_the_other_side(tiny_3d_config: Callable[..., Config]) -> None:
    plain, mirrored = (
        training_dataset(tiny_3d_config(f"augment={{flip_prob: {p}, scale: 0}}", "loss.root_depth=true"))[0, 7]
        for p in (0, 1)
    )
    swap = list(H36M.flip_permutation)
    both = (plain["weight"][swap] > 0) & (mirrored["weight"] > 0)
    assert both[:, 2].sum() >= 15 and both[:, 2].equal(both[:, 0])
    expected = plain["target"][swap] * torch.tensor([-1.0, 1, 1]) - torch.tensor([1 / 32, 0, 0])
    torch.testing.assert_close(mirrored["target"][both], expected[both])


@pytest.mark.parametrize("counts", [False, True])
def test_the_roots_depth_is_a_label_only_if_asked_for(tiny_3d_config: Callable[..., Config], counts: bool) -> None:
    dataset = training_dataset(tiny_3d_config(f"loss.root_depth={str(counts).lower()}"))
    weight = dataset[0, 0]["weight"]
    assert weight[H36M_ROOT].tolist() == [1, 1, float(counts)]
    assert weight[1:, 2].sum() >= 15


def test_a_crop_cache_serves_both_kinds_of_persons(tiny_3d_config: Callable[..., Config], tmp_path: Path) -> None:
    cached = trainer_of(tiny_3d_config("data.cache=raw", f"data.cache_dir={tmp_path}", "name=cached")).task.dataset
    plain = training_dataset(tiny_3d_config())
    for person in (0, 165):
        ours, theirs = cached[0, person], plain[0, person]
        assert torch.equal(ours["target"], theirs["target"])
        assert (ours["image"].float() - theirs["image"].float()).abs().mean() < 8


# --- bad input is told before the first step --------------------------------------------------------------------------


def changed(root: Path, name: str, change: Callable[[dict[str, Any]], Any]) -> Path:
    tree = json.loads((root / "h36m/annotations" / name).read_text())
    change(tree)
    path = root / "h36m/annotations" / f"changed_{name}"
    path.write_text(json.dumps(tree))
    return path


def test_a_person_without_a_camera_is_named(tiny_3d_config: Callable[..., Config], synthetic_3d: Path) -> None:
    path = changed(synthetic_3d, FILES["train"], lambda tree: tree["annotations"][3].pop("cam_param"))
    with pytest.raises(InputError, match=r"annotation 3: cam_param\.R: expected 3 × 3 finite numbers, got nothing"):
        trainer_of(tiny_3d_config(f"data.train_annotations={path.absolute()}"))


def test_people_to_test_on_must_not_be_trained_on(tiny_3d_config: Callable[..., Config], tmp_path: Path) -> None:
    path = write_h36m(tmp_path / "again", "train", 1, seed=0, pictures=False)
    with pytest.raises(InputError, match=r"data\.train_annotations contains subjects 1, 5, 6, 7, 8"):
        trainer_of(tiny_3d_config(f"data.val_annotations={path}", "data.val_images=h36m/images"))


def test_a_file_of_the_other_format_is_told(tiny_3d_config: Callable[..., Config]) -> None:
    with pytest.raises(InputError, match=r"annot_mpii\.json: .*cam|annot_mpii\.json: image 1: expected .* file_name"):
        trainer_of(tiny_3d_config("data.train_annotations=mpii/annotations/annot_mpii.json"))
    with pytest.raises(InputError, match="no list 'categories'"):
        trainer_of(tiny_3d_config("data={format: coco, extra_annotations: null, extra_images: null}"))


def test_halves_must_divide_among_the_ranks(tiny_3d_config: Callable[..., Config]) -> None:
    with pytest.raises(InputError, match=r"train\.batch_size: 6 is not divisible by 1 ranks .* × 2 halves"):
        trainer_of(tiny_3d_config("train={batch_size: 6, accumulate: 2}"))


@pytest.mark.parametrize(("given", "scale"), [("1.25", 1.25), ("null", 1.5)])
def test_persons_without_depth_have_crops_of_a_scale_of_their_own(
    tiny_3d_config: Callable[..., Config], given: str, scale: float
) -> None:
    dataset = training_dataset(tiny_3d_config("data.box_scale=1.5", f"data.extra_box_scale={given}"))
    count = dataset.table.num_with_depth
    larger_side = dataset.table.bbox_xywh[:, 2:].max(axis=1)
    np.testing.assert_allclose(dataset.scale[:count, 0], 1.5 * larger_side[:count])
    np.testing.assert_allclose(dataset.scale[count:, 0], scale * larger_side[count:])
    assert 0 < count < len(dataset)


def test_an_occluder_covers_the_picture_and_not_the_labels(tiny_3d_config: Callable[..., Config]) -> None:
    plain = training_dataset(tiny_3d_config("augment.scale=0"))
    covered = training_dataset(tiny_3d_config("augment={scale: 0, occlusion_prob: 1}"))
    shares = []
    for person in range(20):
        before, after = plain[0, person], covered[0, person]
        for name in ("target", "weight"):
            assert torch.equal(before[name], after[name])
        shares.append((before["image"] != after["image"]).any(dim=0).float().mean().item())
    assert 0.02 < np.mean(shares) < 0.6 and max(shares) < 0.8
