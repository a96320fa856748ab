import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from rlepose.config import Config
from rlepose.config_reading import config_from_dict
from rlepose.datasets.loading import PoseDataset
from rlepose.engine.checkpoint import load_checkpoint, save_checkpoint
from rlepose.engine.distributed import Ranks
from rlepose.engine.experiment import Experiment
from rlepose.engine.trainer import Trainer, train
from rlepose.errors import DivergedError, InputError
from rlepose.losses import LOSSES

ALONE = Ranks(0, 1, torch.device("cpu"))


def run(config: Config, resume: bool = False, overwrite: bool = False) -> dict[str, Any]:
    return train(config, ALONE, resume, overwrite)


def lines(config: Config) -> list[dict[str, Any]]:
    text = (Experiment.of(config).folder / "metrics.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def losses(config: Config) -> list[float]:
    return [line["train/loss"] for line in lines(config) if "train/loss" in line]


@pytest.mark.parametrize("loss", list(LOSSES))
def test_a_run_leaves_config_log_numbers_events_and_checkpoints(tiny_config: Callable[..., Config], loss: str) -> None:
    head = "heatmap" if loss == "heatmap_mse" else "regression"
    config = tiny_config(f"loss.name={loss}", f"model.head.name={head}")
    metrics = run(config)
    folder = Experiment.of(config).folder
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
    folder = Experiment.of(config).folder / "checkpoints"
    kept = {path.name: load_checkpoint(path).progress["epoch"] for path in folder.glob("epoch_*.pt")}
    assert kept == {"epoch_2.pt": 2, "epoch_4.pt": 4}


def test_the_loss_falls(tiny_config: Callable[..., Config]) -> None:
    config = tiny_config("train.epochs=6", "train.validate_every=6")
    run(config)
    history = losses(config)
    assert np.mean(history[-5:]) < np.mean(history[:5]) - 1


def test_a_resumed_run_ends_with_the_bits_of_one_that_was_not_stopped(tiny_config: Callable[..., Config]) -> None:
    straight = tiny_config("name=straight", "train.epochs=3")
    run(straight)
    run(tiny_config("name=stopped", "train.epochs=1"))
    stopped = tiny_config("name=stopped", "train.epochs=3")
    run(stopped, resume=True)
    ours, theirs = (load_checkpoint(Experiment.of(config).last) for config in (stopped, straight))
    for name in ("model", "criterion"):
        state, expected = getattr(ours, name), getattr(theirs, name)
        assert all(torch.equal(state[key], expected[key]) for key in expected)
    assert ours.progress == theirs.progress
    assert torch.equal(ours.random_states[0]["cpu"], theirs.random_states[0]["cpu"])
    timeless = [
        [{k: v for k, v in line.items() if k != "train/images_per_second"} for line in lines(config)]
        for config in (stopped, straight)
    ]
    assert timeless[0] == timeless[1]


def test_resuming_with_another_batch_size_keeps_what_was_logged(tiny_config: Callable[..., Config]) -> None:
    run(tiny_config("train.epochs=1"))
    before = lines(tiny_config())
    run(tiny_config("train.epochs=2", "train.batch_size=16"), resume=True)
    assert lines(tiny_config())[: len(before)] == before


def test_a_crash_in_the_validation_does_not_cost_the_epoch(
    tiny_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config("train.epochs=1")
    with monkeypatch.context() as broken:
        broken.setattr(Trainer, "_validate", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(config)
    assert load_checkpoint(Experiment.of(config).last).progress["epoch"] == 1
    trained = losses(config)
    assert "gt/AP" in run(config, resume=True)
    assert losses(config) == trained
    assert Experiment.of(config).best.exists()


def test_resuming_on_other_joints_is_refused(tiny_config: Callable[..., Config]) -> None:
    run(tiny_config("train.epochs=1"))
    path = Experiment.of(tiny_config()).last
    tree = torch.load(path, weights_only=True)
    tree["skeleton"]["names"][0] = "snout"
    torch.save(tree, path)
    with pytest.raises(InputError, match=r"--resume: .* was trained on the joints snout"):
        run(tiny_config(), resume=True)


def test_a_damaged_checkpoint_never_takes_the_place_of_the_whole_one(tiny_config: Callable[..., Config]) -> None:
    config = tiny_config()
    run(config)
    experiment = Experiment.of(config)
    whole = experiment.previous.read_bytes()
    experiment.last.write_bytes(experiment.last.read_bytes()[:1000])
    Trainer(config, ALONE, resume=True)
    assert not experiment.last.exists() and experiment.previous.read_bytes() == whole


def test_resuming_within_an_epoch_of_other_steps_is_refused(tiny_config: Callable[..., Config]) -> None:
    config = tiny_config()
    trainer = Trainer(config, ALONE)
    trainer.state.seen = 8
    save_checkpoint(trainer.experiment.last, trainer.state.checkpoint(ALONE))
    Trainer(config, ALONE, resume=True)
    with pytest.raises(InputError, match=r"set train\.batch_size=8 until the epoch's end"):
        Trainer(tiny_config("train.batch_size=4"), ALONE, resume=True)


def test_a_checkpoint_of_another_version_says_how_to_start_from_it(tiny_config: Callable[..., Config]) -> None:
    trainer = Trainer(tiny_config(), ALONE)
    save_checkpoint(trainer.experiment.last, trainer.state.checkpoint(ALONE))
    tree = torch.load(trainer.experiment.last, weights_only=True)
    del tree["progress"]["seen"]
    torch.save(tree, trainer.experiment.last)
    with pytest.raises(InputError, match=r"does not tell seen.*model\.init_from"):
        Trainer(tiny_config(), ALONE, resume=True)


def test_a_heatmap_that_would_not_lie_evenly_in_the_crop_is_refused(tiny_config: Callable[..., Config]) -> None:
    with pytest.raises(InputError, match=r"data\.input_size_hw: .*multiples of 32"):
        Trainer(tiny_config("model.head.name=integral", "data.input_size_hw=[80, 64]"), ALONE)


def test_a_batch_statistic_that_is_not_finite_ends_the_run(tiny_config: Callable[..., Config]) -> None:
    trainer = Trainer(tiny_config("model.backbone.name=resnet18", "train.epochs=1"), ALONE)
    trainer.experiment.open(trainer.config, resume=False)
    next(buffer for name, buffer in trainer.model.named_buffers() if "running_mean" in name).fill_(torch.nan)
    with pytest.raises(DivergedError, match="batch statistics"):
        trainer.fit()


def test_a_backbone_of_another_input_size_is_refused_before_training(tiny_config: Callable[..., Config]) -> None:
    with pytest.raises(InputError, match=r"data\.input_size_hw: the backbone cannot take crops of 64x64 .*img_size"):
        Trainer(tiny_config("model.backbone.name=vit_tiny_patch16_224"), ALONE)
    Trainer(
        tiny_config("model.backbone.name=vit_tiny_patch16_224", "model.backbone.options={img_size: [64, 64]}"), ALONE
    )


def test_numbers_do_not_depend_on_the_number_of_workers(tiny_config: Callable[..., Config]) -> None:
    none, two = tiny_config("name=none"), tiny_config("name=two", "system.workers=2")
    assert run(none) == run(two)
    assert losses(none) == losses(two)


def test_accumulated_parts_give_the_loss_of_the_whole_batch(tiny_config: Callable[..., Config]) -> None:
    whole, parts = tiny_config("name=whole"), tiny_config("name=parts", "train.accumulate=4")
    run(whole)
    run(parts)
    assert losses(parts) == pytest.approx(losses(whole), rel=1e-3)


def test_the_same_seed_gives_the_same_run_and_another_seed_another(tiny_config: Callable[..., Config]) -> None:
    configs = [tiny_config(f"name=run{i}", f"train.seed={seed}", "train.epochs=1") for i, seed in enumerate((0, 0, 1))]
    for config in configs:
        run(config)
    assert losses(configs[0]) == losses(configs[1])
    assert losses(configs[0]) != losses(configs[2])


def test_a_second_run_of_the_same_name_asks_what_to_do(tiny_config: Callable[..., Config]) -> None:
    config = tiny_config("train.epochs=1")
    run(config)
    with pytest.raises(InputError, match=r"holds an earlier run; pass --resume .* --overwrite .* --name"):
        run(config)
    run(config, overwrite=True)
    assert len(losses(config)) == len(Trainer(config, ALONE).batches)


def test_resume_without_a_checkpoint_is_refused(tiny_config: Callable[..., Config]) -> None:
    with pytest.raises(InputError, match=r"--resume: there is no checkpoint .*last\.pt"):
        run(tiny_config(), resume=True)


def test_requeue_goes_on_from_what_another_run_saved_until_the_folder_was_free(
    tiny_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    config = tiny_config("train.epochs=1")
    alone = Experiment.alone

    def after_another_run(experiment: Experiment) -> Any:
        monkeypatch.undo()
        run(config)
        return alone(experiment)

    monkeypatch.setattr(Experiment, "alone", after_another_run)
    with caplog.at_level("INFO"):
        train(config, ALONE, requeue=True)
    assert "resuming after epoch 1" in caplog.text


def test_requeue_begins_where_nothing_is_there(tiny_config: Callable[..., Config]) -> None:
    config = tiny_config("train.epochs=1")
    train(config, ALONE, requeue=True)
    assert Experiment.of(config).last.exists()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.lockf", refuse)
    with (
        pytest.raises(InputError, match=r"exp/lock: the file system gives no locks"),
        Experiment(tmp_path / "exp").alone(),
    ):
        pass


def test_a_folder_that_cannot_be_written_is_named(tiny_config: Callable[..., Config], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/.*cannot write there \(Not a directory\); set output_dir"):
        run(tiny_config(f"output_dir={tmp_path / 'file'}"))


def test_a_mistake_beside_overwrite_deletes_nothing(tiny_config: Callable[..., Config]) -> None:
    config = tiny_config("train.epochs=1")
    run(config)
    with pytest.raises(InputError, match=r"nowhere\.json"):
        run(tiny_config("train.epochs=1", "data.train_annotations=nowhere.json"), overwrite=True)
    assert Experiment.of(config).last.exists()


def test_resume_takes_the_new_rate_and_refuses_another_optimizer(tiny_config: Callable[..., Config]) -> None:
    run(tiny_config("train.epochs=1"))
    changed = tiny_config("train.optimizer.weight_decay=0.5")
    trainer = Trainer(changed, ALONE, resume=True)
    assert trainer.optimizer.param_groups[0]["weight_decay"] == 0.5
    assert trainer.optimizer.state_dict()["state"]
    with pytest.raises(InputError, match="was started with adam"):
        Trainer(tiny_config("train.optimizer.name=sgd"), ALONE, resume=True)


def test_the_optimizer_follows_the_schedule(tiny_config: Callable[..., Config]) -> None:
    trainer = Trainer(tiny_config("train.schedule.milestones=[1]", "train.schedule.gamma=0.1"), ALONE)
    Experiment.of(trainer.config).open(trainer.config, resume=False)
    trainer.fit()
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(1e-4)
    rates = [line["train/lr"] for line in lines(trainer.config) if "train/lr" in line]
    assert rates == pytest.approx([1e-3] * (len(rates) // 2) + [1e-4] * (len(rates) // 2))


def test_best_is_the_checkpoint_of_the_highest_ap(tiny_config: Callable[..., Config], monkeypatch) -> None:
    values = iter([0.2, 0.5, 0.3])
    config = tiny_config("train.epochs=3")
    trainer = Trainer(config, ALONE)
    predictions = trainer.validator.predict(trainer.model, trainer.criterion)
    monkeypatch.setattr(trainer.validator, "run", lambda model, criterion: ({"gt/AP": next(values)}, [], predictions))
    Experiment.of(config).open(config, resume=False)
    trainer.fit()
    best = load_checkpoint(Experiment.of(config).best)
    assert (best.progress["epoch"], best.progress["validated"], best.progress["best"]) == (2, 2, 0.5)
    assert best.metrics == {"gt/AP": 0.5}


def test_a_folder_that_is_no_experiment_is_not_touched(tiny_config: Callable[..., Config]) -> None:
    config = tiny_config()
    folder = Experiment.of(config).folder
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="is not empty and holds no experiment"):
        run(config, overwrite=True)
    assert (folder / "thesis.txt").exists()


def test_another_number_of_joints_than_the_configs_is_refused(tiny_config: Callable[..., Config]) -> None:
    with pytest.raises(InputError, match=r"data\.num_keypoints: 14 joints are asked for but .* has 17: nose, left_eye"):
        Trainer(tiny_config("data.num_keypoints=14"), ALONE)


def test_a_batch_that_does_not_divide_by_the_ranks_is_refused(tiny_config: Callable[..., Config]) -> None:
    with pytest.raises(InputError, match=r"train\.batch_size: 8 does not divide by 3 ranks"):
        Trainer(tiny_config(), Ranks(0, 3, torch.device("cpu")))


def test_a_diverged_loss_stops_the_run_and_keeps_the_checkpoint(tiny_config: Callable[..., Config]) -> None:
    config = tiny_config("train.epochs=1")
    run(config)
    before = Experiment.of(config).last.read_bytes()
    trainer = Trainer(tiny_config("train.epochs=2"), ALONE, resume=True)
    with torch.no_grad():
        trainer.model.head.coordinates.bias.fill_(float("nan"))
    with pytest.raises(
        DivergedError,
        match=r"became NaN .*, first seen in the loss of annotation \d+ in .*jpg; .*last\.pt is from before",
    ):
        trainer.fit()
    assert Experiment.of(config).last.read_bytes() == before


def poison(monkeypatch: pytest.MonkeyPatch, persons: range) -> None:
    """Give these persons of every data set labels that are NaN."""
    honest = PoseDataset.__getitem__

    def poisoned(dataset: PoseDataset, key: tuple[int, int]) -> dict[str, Any]:
        item = honest(dataset, key)
        if key[1] in persons:
            item |= {"target": torch.full_like(item["target"], torch.nan), "weight": torch.ones_like(item["weight"])}
        return item

    monkeypatch.setattr(PoseDataset, "__getitem__", poisoned)


def test_a_nan_ends_the_run_with_the_persons_annotation(
    tiny_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, range(3, 4))
    trainer = Trainer(tiny_config("train.epochs=5"), ALONE)
    Experiment.of(trainer.config).open(trainer.config, resume=False)
    identity = trainer.dataset.table.person_ids[3]
    with pytest.raises(
        DivergedError,
        match=rf"first seen in the loss of annotation {identity} in {trainer.dataset.table.image_path(3)}",
    ):
        trainer.fit()


def test_in_mode_skip_a_nan_costs_its_step_only_and_is_reported(
    tiny_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    poison(monkeypatch, range(3, 4))
    config = tiny_config("train.on_nonfinite=skip", "train.epochs=3")
    run(config)
    trainer = Trainer(config, ALONE, resume=True)
    assert all(parameter.isfinite().all() for parameter in trainer.parameters)
    identity = trainer.dataset.table.person_ids[3]
    told = [record.message for record in caplog.records if "not finite" in record.message]
    assert told and all("skipped 1 steps before step" in line and f"annotation {identity} in" in line for line in told)
    assert len(losses(config)) == 3 * len(trainer.batches) - len(told)
    assert all(np.isfinite(losses(config)))


def test_in_mode_skip_an_epoch_without_a_finite_step_ends_the_run(
    tiny_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    poison(monkeypatch, range(1000))
    with pytest.raises(DivergedError, match=r"no step of epoch 1 had a finite gradient"):
        run(tiny_config("train.on_nonfinite=skip"))


def test_clipping_limits_the_norm_of_the_whole_gradient(tiny_config: Callable[..., Config]) -> None:
    config = tiny_config("train.clip_grad_norm=0.01")
    trainer = Trainer(config, ALONE)
    trainer.step({k: v for k, v in next(iter(trainer.loader)).items() if isinstance(v, torch.Tensor)})
    norm = torch.stack([p.grad.norm() for p in trainer.parameters if p.grad is not None]).norm()
    assert norm.item() == pytest.approx(0.01, rel=1e-3)


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


# From random weights, normalised features are slow to tell eight pictures apart.
