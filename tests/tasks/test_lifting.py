"""Lifting is trained like everything else: learned, stopped, resumed, averaged, shared out among ranks, and judged."""

import dataclasses
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from rlepose.config.config import Config
from rlepose.config.reading import load_config, with_overrides
from rlepose.drawn_people.people_in_space import write_h36m
from rlepose.errors import DivergedError, InputError
from rlepose.jobs.submit import submit_checkpoint
from rlepose.jobs.train import build_trainer, train
from rlepose.jobs.validate import validate_checkpoint
from rlepose.models.options import LiftingModelConfig
from rlepose.runtime.checkpoint import load_checkpoint
from rlepose.runtime.checkpoint_file import card_path
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.experiment import Experiment
from rlepose.training.trainer import Trainer

CONFIGS = Path(__file__).parents[2] / "configs"
SHIPPED = [path for path in sorted(CONFIGS.glob("*.yaml")) if load_config(path).task == "lifting"]
ALONE = Ranks(0, 1, torch.device("cpu"))
TRAINABLE = ("l1", "l2", "gaussian", "laplace", "dle", "rle")
LEARNING = ("train.epochs=30", "train.validate_every=30", "train.optimizer.lr=0.003", "eval.pictures=0")


def lines(config: Config) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Experiment.of(config).folder / "metrics.jsonl").read_text().splitlines()]


def losses(config: Config) -> list[float]:
    return [line["train/loss"] for line in lines(config) if "train/loss" in line]


def of_loss(name: str) -> str:
    return f"loss={{name: {name}}}"


def mean_error(trainer: Trainer, persons: slice) -> float:
    """Mean distance in mm of training poses from their labels."""
    dataset = trainer.task.dataset
    with torch.no_grad():
        mu = trainer.task.step.model.eval()(dataset.inputs[persons]).mu
    return 2000 * (mu - dataset.targets[persons]).norm(dim=2).mean().item()


def untrained_error(trainer: Trainer, persons: slice) -> float:
    return 2000 * trainer.task.dataset.targets[persons].norm(dim=2).mean().item()


# --- it learns --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_two_steps_of_a_shipped_config_move_every_weight(path: Path, labels_3d: Path, tmp_path: Path) -> None:
    config = load_config(path, [f"data.root={labels_3d}", f"output_dir={tmp_path}", "system.device=cpu"])
    trainer = build_trainer(config, ALONE)
    before = [parameter.detach().clone() for parameter in trainer.parameters]
    trainer.step_module.train()
    batch = next(iter(trainer.task.loader))
    for _ in range(2):
        loss, taken = trainer.step(batch)
        assert loss.isfinite() and taken == 1
    after = trainer.task.step.named_parameters()
    assert [name for (name, new), old in zip(after, before, strict=True) if new.equal(old)] == []
    assert len(SHIPPED) == 4


@pytest.mark.parametrize("loss", TRAINABLE)
def test_training_lowers_the_error(lifting_config: Callable[..., Config], loss: str) -> None:
    config = lifting_config(of_loss(loss), *LEARNING)
    metrics = train(config, ALONE)
    trainer = build_trainer(config, ALONE, resume=True)
    assert mean_error(trainer, slice(None)) < 0.6 * untrained_error(trainer, slice(None))
    assert {name.partition("/")[2] for name in metrics} == {"", "Walking", "Sitting", "Reaching", "Lying"}
    history = losses(config)
    assert np.mean(history[-5:]) < np.mean(history[:5])


def test_a_label_that_is_far_off_does_not_spoil_the_others(lifting_config: Callable[..., Config]) -> None:
    """Its gradient, by a likelihood with a small sigma, is a million times the others'."""
    config = lifting_config("loss.name=rle", *LEARNING)
    trainer = build_trainer(config, ALONE)
    trainer.task.dataset.targets[0] += 300
    Experiment.of(config).open(config, resume=False)
    trainer.fit()
    assert mean_error(trainer, slice(1, None)) < 0.5 * untrained_error(trainer, slice(1, None))


def test_the_same_seed_gives_the_same_run_and_another_seed_another(lifting_config: Callable[..., Config]) -> None:
    configs = [
        lifting_config(f"name=run{i}", f"train.seed={seed}", "train.epochs=1", "model.dropout=0.1")
        for i, seed in enumerate((0, 0, 1))
    ]
    for config in configs:
        torch.rand(1)  # whatever was drawn before
        train(config, ALONE)
    first, second, other = (losses(config) for config in configs)
    assert first == second and first != other


# --- a run is a run ---------------------------------------------------------------------------------------------------


def test_a_resumed_run_ends_with_the_bits_of_one_that_was_not_stopped(lifting_config: Callable[..., Config]) -> None:
    schedule = "train.schedule={name: step, milestones: []}"  # whose rate does not depend on the run's end
    options = ("loss.name=rle", "eval.pictures=0", "model.dropout=0.2", "train.average_decay=0.9", schedule)
    straight = lifting_config("name=straight", "train.epochs=3", *options)
    train(straight, ALONE)
    train(lifting_config("name=stopped", "train.epochs=1", *options), ALONE)
    stopped = lifting_config("name=stopped", "train.epochs=3", *options)
    torch.rand(5)
    train(stopped, ALONE, resume=True)
    ours, theirs = (load_checkpoint(Experiment.of(config).last) for config in (stopped, straight))
    for name in ("model", "criterion"):
        for mine, expected in (
            (getattr(ours, name), getattr(theirs, name)),
            (ours.unaveraged[name], theirs.unaveraged[name]),
        ):
            assert all(torch.equal(mine[key], expected[key]) for key in expected)
    assert losses(stopped) == losses(straight)


def test_a_run_stopped_within_an_epoch_goes_on_with_the_bits_of_one_that_was_not(
    lifting_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    straight, stopped = (lifting_config(f"name={name}", "model.dropout=0.2") for name in ("straight", "stopped"))
    train(straight, ALONE)
    step = Trainer.step

    def dying(trainer: Trainer, batch: Any) -> torch.Tensor:
        if trainer.state.steps == 7:
            raise KeyboardInterrupt
        return step(trainer, batch)

    with monkeypatch.context() as broken:
        broken.setattr(Trainer, "step", dying)
        with pytest.raises(KeyboardInterrupt):
            train(with_overrides(stopped, ["train.save_every=1"]), ALONE)
    train(stopped, ALONE, resume=True)
    assert losses(stopped) == losses(straight)
    ours, theirs = (load_checkpoint(Experiment.of(config).last) for config in (stopped, straight))
    assert all(torch.equal(ours.model[key], theirs.model[key]) for key in theirs.model)


def test_best_is_the_moving_average_where_one_is_kept(lifting_config: Callable[..., Config]) -> None:
    config = lifting_config("train.average_decay=0.99")
    metrics = train(config, ALONE)
    best, last = (load_checkpoint(path) for path in (Experiment.of(config).best, Experiment.of(config).last))
    assert best.unaveraged is not None
    weight = "coordinates.weight"
    assert not torch.equal(best.model[weight], best.unaveraged["model"][weight])
    assert torch.equal(best.model[weight], last.model[weight])
    for name in ("mean", "std"):  # what inputs are normalised by is no weight
        assert torch.equal(best.model[name], best.unaveraged["model"][name])
    again = validate_checkpoint(
        Experiment.of(config).best, best.config, best, ["gt"], Experiment.of(config).folder / "results", ALONE
    )
    assert again == pytest.approx(metrics, rel=1e-9)


def test_accumulated_parts_give_the_mean_loss_and_gradient_of_the_parts(lifting_config: Callable[..., Config]) -> None:
    config = lifting_config("train.accumulate=4", "train.clip_grad_norm=null")
    trainer = build_trainer(config, ALONE)
    trainer.step_module.train()
    batch = next(iter(trainer.task.loader))
    parts = [batch[start : start + 8] for start in range(0, 32, 8)]
    expected = torch.stack([trainer.task.step(part).per_person.mean() for part in parts]).mean()
    gradients = torch.autograd.grad(expected, trainer.parameters)
    loss, _ = trainer.step(batch)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for parameter, gradient in zip(trainer.parameters, gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-4 * float(gradient.abs().max()) + 1e-9)


def test_a_loss_that_is_no_number_names_the_person(lifting_config: Callable[..., Config]) -> None:
    config = lifting_config()
    trainer = build_trainer(config, ALONE)
    trainer.task.dataset.targets[11] = torch.nan
    Experiment.of(config).open(config, resume=False)
    identity = trainer.task.table.person_ids[11]
    with pytest.raises(DivergedError, match=rf"first seen in the loss of annotation {identity} in .*\.jpg"):
        trainer.fit()


def test_a_run_leaves_config_log_numbers_events_pictures_and_checkpoints(lifting_config: Callable[..., Config]) -> None:
    config = lifting_config("train.keep_every=1", "train.select_by=PA_MPJPE")
    metrics = train(config, ALONE)
    folder = Experiment.of(config).folder
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {
        *("last.pt", "previous.pt", "best.pt", "best.md", "epoch_1.pt", "epoch_2.pt")
    }
    assert list((folder / "tensorboard").glob("events.*"))
    assert [line["epoch"] for line in lines(config) if "MPJPE/Lying" in line] == [1, 2]
    best = load_checkpoint(Experiment.of(config).best)
    assert best.config == config and best.progress["best"] == best.metrics["PA_MPJPE"] <= metrics["PA_MPJPE"]
    start = json.loads((folder / "starts.jsonl").read_text())
    assert start["persons"] == {"training": 160, "validation": 64}


def test_the_card_says_what_goes_in_and_out_and_how_it_was_trained(lifting_config: Callable[..., Config]) -> None:
    config = lifting_config("train.epochs=1")
    train(config, ALONE)
    path = Experiment.of(config).best
    card = card_path(path).read_text(encoding="utf-8")
    recipe = card.partition("## Recipe")[2].partition("## Metrics")[0]
    overrides = [line.strip().replace(": ", "=", 1) for line in recipe.splitlines() if line.startswith("    ")]
    assert with_overrides(Config(model=LiftingModelConfig()), overrides) == config
    assert "* training: 160 persons of" in card and "(B, 34)" in card and "mu × 2000 mm" in card
    assert "averaged with the mirrored pose" in card and "from rlepose.inference import Lifter" in card
    assert "Not measured yet" in card and "crop" not in card


def test_validate_gives_the_numbers_of_the_last_validation_and_writes_joints_and_pictures(
    lifting_config: Callable[..., Config], tmp_path: Path
) -> None:
    config = lifting_config()
    metrics = train(config, ALONE)
    path, out = Experiment.of(config).best, tmp_path / "results"
    checkpoint = load_checkpoint(path)
    assert validate_checkpoint(path, checkpoint.config, checkpoint, ["gt"], out, ALONE) == metrics == checkpoint.metrics
    assert {file.name for file in out.iterdir()} == {
        *("metrics.json", "validation.json", "keypoints_gt.json", "persons_gt.png")
    }
    with pytest.raises(InputError, match=r"--onnx: not supported for lifting models"):
        validate_checkpoint(path, checkpoint.config, checkpoint, ["gt"], out, ALONE, onnx=tmp_path / "x.onnx")
    with pytest.raises(InputError, match=r"--boxes: boxes\.json: not supported in 3-D"):
        validate_checkpoint(path, checkpoint.config, checkpoint, ["boxes.json"], out, ALONE)


# --- ranks ------------------------------------------------------------------------------------------------------------


def test_two_ranks_give_the_losses_and_metrics_of_one_process_with_the_same_halves(
    run_script: Callable[..., subprocess.CompletedProcess[str]],
    lifting_config: Callable[..., Config],
    lifting_overrides: list[str],
) -> None:
    """Batch statistics are of each rank's half, so the process takes the halves one by one."""
    name, flow = "configs/synthetic_3d_lifting_rle.yaml", ["loss={name: dle, flow: {width: 8}}", "eval.pictures=0"]
    overrides = [*lifting_overrides, *flow]
    result = run_script("train.py", "--cfg", name, "--name", "two", "--set", *overrides, ranks=2)
    assert result.returncode == 0, result.stderr
    config = lifting_config("name=two", *flow)
    trainer = build_trainer(lifting_config("name=one", *flow), ALONE)
    trainer.step_module.train()
    order, expected = trainer.task.order, []
    for order.epoch in range(2):
        for number, batch in enumerate(trainer.task.loader):
            done = order.epoch / 2 + number / 2 / len(order)
            trainer.optimizer.param_groups[0]["lr"] = 1e-3 * 0.5 * (1 + np.cos(np.pi * done))
            halves = dataclasses.replace(
                batch,
                **{
                    field: torch.cat([getattr(batch, field)[0::2], getattr(batch, field)[1::2]])
                    for field in ("inputs", "target", "weight", "persons")
                },
            )
            trainer.options = dataclasses.replace(trainer.options, accumulate=2)
            expected.append(trainer.step(halves)[0].item())
    assert losses(config) == pytest.approx(expected, rel=1e-4)
    path = Experiment.of(config).best
    checkpoint = load_checkpoint(path)
    alone = validate_checkpoint(path, checkpoint.config, checkpoint, ["gt"], path.parent / "results", ALONE)
    assert alone == pytest.approx(checkpoint.metrics, rel=1e-6)
    weights = trainer.task.step.model.state_dict()
    for key in ("coordinates.weight", "trunk.0.weight"):
        torch.testing.assert_close(checkpoint.model[key], weights[key], rtol=1e-3, atol=1e-4)


# --- bad input is told before the first step --------------------------------------------------------------------------


@pytest.mark.parametrize("override", ["train.batch_size=1", "train={batch_size: 4, accumulate: 4}"])
def test_one_pose_at_a_time_is_refused(lifting_config: Callable[..., Config], override: str) -> None:
    with pytest.raises(InputError, match=r"train\.batch_size: .* leave one pose at a time.*2 or more"):
        build_trainer(lifting_config(override), ALONE)


def test_a_batch_larger_than_the_data_set_takes_all_persons(
    lifting_config: Callable[..., Config], caplog: pytest.LogCaptureFixture
) -> None:
    train(lifting_config("train.batch_size=1000", "train.epochs=1"), ALONE)
    assert "only 160 training persons, so a step uses 160 instead of train.batch_size=1000" in caplog.text


def test_a_batch_that_does_not_divide_by_the_ranks_is_refused(lifting_config: Callable[..., Config]) -> None:
    with pytest.raises(InputError, match=r"train\.batch_size: 32 is not divisible by 3 ranks"):
        build_trainer(lifting_config(), Ranks(0, 3, torch.device("cpu")))


def test_missing_labels_are_named(lifting_config: Callable[..., Config]) -> None:
    with pytest.raises(InputError, match=r"labels\.json: the annotation file does not exist"):
        build_trainer(lifting_config("data.train_annotations=labels.json"), ALONE)


def test_people_to_test_on_must_not_be_trained_on(lifting_config: Callable[..., Config], tmp_path: Path) -> None:
    path = write_h36m(tmp_path / "again", "train", 1, seed=0, pictures=False)
    with pytest.raises(InputError, match=r"data\.train_annotations contains subjects 1, 5, 6, 7, 8"):
        build_trainer(lifting_config(f"data.val_annotations={path}"), ALONE)


def test_a_number_that_validation_does_not_give_cannot_choose_the_best(lifting_config: Callable[..., Config]) -> None:
    with pytest.raises(InputError, match=r"train\.select_by: gt/AP: .* one of MPJPE, PA_MPJPE, PCK3D, AUC"):
        build_trainer(lifting_config("train.select_by=gt/AP"), ALONE)


def test_resuming_as_another_task_is_refused(
    lifting_config: Callable[..., Config], tiny_3d_config: Callable[..., Config]
) -> None:
    config = lifting_config("name=run", "train.epochs=1")
    train(config, ALONE)
    other = tiny_3d_config("name=run", f"output_dir={config.output_dir}")
    with pytest.raises(InputError, match=r"--resume: .* was trained with model\.name=lifting, but .* has top_down"):
        build_trainer(other, ALONE, resume=True)


def test_lifted_poses_are_no_submission(lifting_config: Callable[..., Config], tmp_path: Path) -> None:
    config = lifting_config("train.epochs=1", "eval.pictures=0")
    train(config, ALONE)
    path = Experiment.of(config).best
    checkpoint = load_checkpoint(path)
    with pytest.raises(InputError, match="but the server expects COCO's 17"):
        submit_checkpoint(path, config, checkpoint, "boxes.json", tmp_path, ALONE)


def test_the_trainer_sees_a_module_of_network_and_loss(lifting_config: Callable[..., Config]) -> None:
    step = build_trainer(lifting_config("loss.name=dle"), ALONE).task.step
    assert isinstance(step, nn.Module)
    owned = {name.partition(".")[0] for name, _ in step.named_parameters()}
    assert owned == {"model", "criterion"}
