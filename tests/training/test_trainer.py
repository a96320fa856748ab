from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from rlepose.config.config import Config
from rlepose.config.reading import config_from_dict
from rlepose.errors import InputError
from rlepose.losses import LOSSES
from rlepose.runtime.checkpoint import load_checkpoint
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.trained_model import TrainedModel
from rlepose.training.trainer import Trainer
from rlepose.validation.validation import Validation
from tests.training.running import experiment_of, lines, losses, run, script_validations, task_of, trainer_of


@pytest.mark.parametrize("loss", list(LOSSES))
def test_a_run_leaves_config_log_numbers_events_and_checkpoints(tiny_config: Callable[..., Config], loss: str) -> None:
    head = "heatmap" if loss == "heatmap_mse" else "regression"
    config = tiny_config(f"loss.name={loss}", f"model.head.name={head}")
    metrics = run(config)
    folder = experiment_of(config).folder
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {
        "last.pt",
        "previous.pt",
        "best.pt",
        "best.md",
    }
    assert config_from_dict(yaml.safe_load((folder / "config.yaml").read_text())) == config
    assert list((folder / "tensorboard").glob("events.*"))
    assert {"gt/AP", "gt/AP50", "gt/AR"} <= metrics.keys()
    assert [line["epoch"] for line in lines(config) if "gt/AP" in line] == [1, 2]
    assert all(np.isfinite(losses(config)))


def test_every_nth_epoch_is_kept(tiny_config: Callable[..., Config]) -> None:
    config = tiny_config("train.epochs=5", "train.keep_every=2", "train.validate_every=5")
    run(config)
    folder = experiment_of(config).folder / "checkpoints"
    kept = {path.name: load_checkpoint(path).progress["epoch"] for path in folder.glob("epoch_*.pt")}
    assert kept == {"epoch_2.pt": 2, "epoch_4.pt": 4}


def test_the_loss_falls(tiny_config: Callable[..., Config]) -> None:
    config = tiny_config("train.epochs=6", "train.validate_every=6")
    run(config)
    history = losses(config)
    assert np.mean(history[-5:]) < np.mean(history[:5]) - 1


def test_a_heatmap_that_would_not_lie_evenly_in_the_crop_is_refused(tiny_config: Callable[..., Config]) -> None:
    with pytest.raises(InputError, match=r"data\.input_size_hw: .*multiples of 32"):
        trainer_of(tiny_config("model.head.name=integral", "data.input_size_hw=[80, 64]"))


def test_a_backbone_of_another_input_size_is_refused_before_training(tiny_config: Callable[..., Config]) -> None:
    with pytest.raises(
        InputError, match=r"data\.input_size_hw: the backbone does not support crops of 64x64 .*img_size"
    ):
        trainer_of(tiny_config("model.backbone.name=vit_tiny_patch16_224"))
    trainer_of(tiny_config("model.backbone.name=vit_tiny_patch16_224", "model.backbone.options={img_size: [64, 64]}"))


def test_numbers_do_not_depend_on_the_number_of_workers(tiny_config: Callable[..., Config]) -> None:
    none, two = tiny_config("name=none"), tiny_config("name=two", "system.workers=2")
    assert run(none) == run(two)
    assert losses(none) == losses(two)


def test_accumulated_parts_give_the_loss_of_the_whole_batch(tiny_config: Callable[..., Config]) -> None:
    whole, parts = tiny_config("name=whole"), tiny_config("name=parts", "train.accumulate=4")
    run(whole)
    run(parts)
    assert losses(parts) == pytest.approx(losses(whole), rel=1e-3)


def weights(trainer: Trainer) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in trainer.parameters])


def change_of_a_step(config: Config) -> torch.Tensor:
    """How far the first step moves each weight."""
    trainer = trainer_of(config)
    before = weights(trainer)
    trainer.step(next(iter(trainer.task.loader)))
    return weights(trainer) - before


def test_accumulated_parts_move_the_weights_as_the_whole_batch(tiny_config: Callable[..., Config]) -> None:
    """Under SGD, whose steps are as long as the gradient: Adam's are not."""
    whole, parts = (
        change_of_a_step(tiny_config("train.optimizer={name: sgd, lr: 0.01}", f"train.accumulate={parts}"))
        for parts in (1, 4)
    )
    assert (parts - whole).norm() < 1e-3 * whole.norm()


def test_the_seed_chooses_the_initial_weights(tiny_config: Callable[..., Config]) -> None:
    first, second, other = (weights(trainer_of(tiny_config(f"train.seed={seed}"))) for seed in (0, 0, 1))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_ranks_begin_with_the_same_weights_and_draw_other_dropout_masks(tiny_config: Callable[..., Config]) -> None:
    """Each rank is built alone: its siblings have no part in what it draws."""
    config = tiny_config("model.backbone.options={drop_path_rate: 0.5}")
    images = torch.randint(0, 256, (8, 3, 64, 64), dtype=torch.uint8)
    initial, outputs = [], []
    for rank in range(2):
        trainer = trainer_of(config, ranks=Ranks(rank, 1, torch.device("cpu")))
        initial.append(weights(trainer))
        outputs.append(trainer.task.step.model.train()(images).mu)
    assert torch.equal(*initial)
    assert not torch.equal(*outputs)


def test_the_same_seed_gives_the_same_run_and_another_seed_another(tiny_config: Callable[..., Config]) -> None:
    configs = [tiny_config(f"name=run{i}", f"train.seed={seed}", "train.epochs=1") for i, seed in enumerate((0, 0, 1))]
    for config in configs:
        run(config)
    assert losses(configs[0]) == losses(configs[1])
    assert losses(configs[0]) != losses(configs[2])


def test_the_optimizer_follows_the_schedule(tiny_config: Callable[..., Config]) -> None:
    trainer = trainer_of(tiny_config("train.schedule.milestones=[1]", "train.schedule.gamma=0.1"))
    experiment_of(trainer.task.config).open(trainer.task.config, resume=False)
    trainer.fit()
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(1e-4)
    rates = [line["train/lr"] for line in lines(trainer.task.config) if "train/lr" in line]
    assert rates == pytest.approx([1e-3] * (len(rates) // 2) + [1e-4] * (len(rates) // 2))


def test_best_is_the_checkpoint_of_the_highest_ap(tiny_config: Callable[..., Config], monkeypatch) -> None:
    values = iter([0.2, 0.5, 0.3])
    config = tiny_config("train.epochs=3")
    trainer = trainer_of(config)
    script_validations(monkeypatch, trainer, lambda: {"gt/AP": next(values)})
    experiment_of(config).open(config, resume=False)
    trainer.fit()
    best = load_checkpoint(experiment_of(config).best)
    assert (best.progress["epoch"], best.progress["validated"], best.progress["best"]) == (2, 2, 0.5)
    assert best.metrics == {"gt/AP": 0.5}


@pytest.mark.parametrize(("select_by", "best_epoch"), [("null", 1), ("gt/AP75", 2), ("gt/AR", 3), ("last", 4)])
def test_the_checkpoint_that_select_by_names_is_kept(
    tiny_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, select_by: str, best_epoch: int
) -> None:
    names = ("gt/AP", "gt/AP75", "gt/AR")
    values = iter([(0.5, 0.1, 0.2), (0.4, 0.3, 0.3), (0.3, 0.2, 0.4), (0.2, 0.1, 0.1)])
    config = tiny_config("train.epochs=4", f"train.select_by={select_by}")
    trainer = trainer_of(config)
    script_validations(monkeypatch, trainer, lambda: dict(zip(names, next(values), strict=True)))
    experiment_of(config).open(config, resume=False)
    trainer.fit()
    best = experiment_of(config).best
    assert load_checkpoint(best).progress["epoch"] == best_epoch
    assert ("checkpoint is the last one" in best.with_suffix(".md").read_text()) == (select_by == "last")


@pytest.mark.parametrize(("select_by", "best_epoch"), [("null", 1), ("gt/AP", 1), ("gt/AR", 2), ("last", 2)])
def test_a_resumed_run_keeps_its_best_unless_another_number_chooses_it(
    tiny_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, select_by: str, best_epoch: int
) -> None:
    """Without a name it is gt/AP, so naming that changes nothing."""

    def go_on(epochs: int, select_by: str, value: float) -> None:
        config = tiny_config(f"train.epochs={epochs}", f"train.select_by={select_by}")
        trainer = trainer_of(config, resume=epochs > 1)
        script_validations(monkeypatch, trainer, lambda: dict.fromkeys(("gt/AP", "gt/AR"), value))
        experiment_of(config).open(config, resume=epochs > 1)
        trainer.fit()

    go_on(1, "null", 0.5)
    go_on(2, select_by, 0.4)
    assert load_checkpoint(experiment_of(tiny_config()).best).progress["epoch"] == best_epoch


def test_a_number_that_validation_does_not_give_cannot_choose_the_best(tiny_config: Callable[..., Config]) -> None:
    with pytest.raises(InputError, match=r"train\.select_by: AP: .*set it to last, or to one of gt/AP, gt/AP50"):
        trainer_of(tiny_config("train.select_by=AP"))


@pytest.mark.parametrize(
    ("select_by", "best_epoch"), [("gt/NME", 2), ("gt/NME_failures@0.08", 3), ("gt/NME_AUC@0.1", 1)]
)
def test_the_lowest_nme_and_the_highest_area_under_its_curve_are_the_best(
    tiny_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, select_by: str, best_epoch: int
) -> None:
    names = ("gt/NME", "gt/NME_failures@0.08", "gt/NME_AUC@0.1")
    values = iter([(0.5, 0.4, 0.9), (0.3, 0.5, 0.2), (0.4, 0.1, 0.3)])
    options = ("train.epochs=3", "model.backbone.name=test_resnet", "eval.nme_reference=box")
    config = tiny_config(*options, f"train.select_by={select_by}")
    trainer = trainer_of(config)
    script_validations(monkeypatch, trainer, lambda: dict(zip(names, next(values), strict=True)))
    experiment_of(config).open(config, resume=False)
    trainer.fit()
    assert load_checkpoint(experiment_of(config).best).progress["epoch"] == best_epoch


def test_nme_cannot_choose_the_best_without_a_reference(tiny_config: Callable[..., Config]) -> None:
    with pytest.raises(InputError, match=r"train\.select_by: gt/NME: .*set eval\.nme_reference"):
        trainer_of(tiny_config("train.select_by=gt/NME"))


def test_in_space_a_smaller_error_is_better(tiny_3d_config: Callable[..., Config]) -> None:
    evaluator = task_of(trainer_of(tiny_3d_config("train.select_by=PA_MPJPE"))).validation.evaluator
    assert evaluator.better("PA_MPJPE", 40.0, 41.0) and not evaluator.better("PA_MPJPE", 42.0, 41.0)
    assert evaluator.better("PCK3D", 0.9, 0.8)


def test_each_tensors_gradient_is_limited_where_asked(tiny_config: Callable[..., Config]) -> None:
    trainer = trainer_of(tiny_config("train={clip_grad_norm: 0.01, clip_grad_by: tensor}"))
    trainer.step(next(iter(trainer.task.loader)))
    norms = torch.stack([parameter.grad.norm() for parameter in trainer.task.step.model.parameters()])
    assert norms.max() == pytest.approx(0.01, rel=1e-3)
    assert (norms > 0.0099).sum() > 10


def test_training_validation_and_checkpoint_mirror_the_pairs_that_the_config_gives(
    tiny_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    models: list[TrainedModel] = []
    run = Validation.run

    def remember(validation: Validation, model: TrainedModel, batches: int | None = None) -> Any:
        models.append(model)
        return run(validation, model, batches)

    monkeypatch.setattr(Validation, "run", remember)
    config = tiny_config("data.flip_pairs=[[left_eye, right_eye]]", "train.epochs=1")
    trainer = trainer_of(config)
    expected = [0, 2, 1, *range(3, 17)]
    assert list(trainer.task.dataset.skeleton.flip_permutation) == expected
    assert list(trainer.task.validation.source.skeleton.flip_permutation) == expected
    experiment_of(config).open(config, resume=False)
    trainer.fit()
    assert [list(model.skeleton.flip_permutation) for model in models] == [expected] * 2  # the first tries two batches
    assert list(load_checkpoint(experiment_of(config).last).skeleton.flip_permutation) == expected


def test_another_number_of_joints_than_the_configs_is_refused(tiny_config: Callable[..., Config]) -> None:
    with pytest.raises(InputError, match=r"data\.num_keypoints: expected 14 joints, but .* has 17: nose, left_eye"):
        trainer_of(tiny_config("data.num_keypoints=14"))


def test_a_batch_that_does_not_divide_by_the_ranks_is_refused(tiny_config: Callable[..., Config]) -> None:
    with pytest.raises(InputError, match=r"train\.batch_size: 8 is not divisible by 3 ranks"):
        trainer_of(tiny_config(), ranks=Ranks(0, 3, torch.device("cpu")))


def test_a_missing_picture_ends_the_run_or_is_left_out(
    tiny_config: Callable[..., Config], synthetic: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "data").mkdir()
    for path in synthetic.iterdir():
        (tmp_path / "data" / path.name).symlink_to(path)
    (tmp_path / "data" / "train").unlink()
    (tmp_path / "data" / "train").mkdir()
    for picture in sorted((synthetic / "train").iterdir())[1:]:
        (tmp_path / "data" / "train" / picture.name).symlink_to(picture)
    root = f"data.root={tmp_path / 'data'}"
    with pytest.raises(InputError, match=r"000000000001\.jpg.*data\.on_bad_image=skip"):
        run(tiny_config("name=error", root))
    config = tiny_config("name=skip", root, "data.on_bad_image=skip")
    run(config)
    assert "000000000001.jpg" in caplog.text
    assert all(np.isfinite(losses(config)))


def test_a_run_in_which_every_picture_is_skipped_ends(
    tiny_config: Callable[..., Config], case_folder: Path, tmp_path: Path
) -> None:
    data = "{train_annotations: ann.json, val_annotations: ann.json, train_images: images, val_images: images}"
    config = tiny_config(
        f"data={data}",
        f"data.root={case_folder / 'all_pictures_of_another_size'}",
        f"data.cache_dir={tmp_path}",
        "data.on_bad_image=skip",
        "train.batch_size=1",
    )
    with pytest.raises(InputError, match=r"none of 3 pictures could be read, so nothing is left: "):
        run(config)
    assert not experiment_of(config).best.exists()


# From random weights, normalised features are slow to tell eight pictures apart.
