"""A run that goes on from its checkpoints; what stops it for good stands in tests/faults."""

import json
import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rlepose.config.config import Config
from rlepose.errors import DivergedError, InputError, Stopped
from rlepose.jobs.train import train
from rlepose.runtime.checkpoint import load_checkpoint
from rlepose.runtime.checkpoint_file import write_tree
from rlepose.runtime.experiment import Experiment
from rlepose.training.trainer import Trainer
from rlepose.validation.coco_evaluator import CocoEvaluator
from rlepose.validation.validation import Validation
from tests.training.running import ALONE, experiment_of, lines, losses, run, trainer_of


def test_a_resumed_run_ends_with_the_bits_of_one_that_was_not_stopped(tiny_config: Callable[..., Config]) -> None:
    straight = tiny_config("name=straight", "train.epochs=3")
    run(straight)
    run(tiny_config("name=stopped", "train.epochs=1"))
    stopped = tiny_config("name=stopped", "train.epochs=3")
    run(stopped, resume=True)
    ours, theirs = (load_checkpoint(experiment_of(config).last) for config in (stopped, straight))
    for name in ("model", "criterion"):
        state, expected = getattr(ours, name), getattr(theirs, name)
        assert all(torch.equal(state[key], expected[key]) for key in expected)
    assert ours.progress == theirs.progress
    assert torch.equal(ours.random_states[0]["cpu"], theirs.random_states[0]["cpu"])
    timeless = [
        [{k: v for k, v in line.items() if k != "train/persons_per_second"} for line in lines(config)]
        for config in (stopped, straight)
    ]
    assert timeless[0] == timeless[1]


def test_resuming_with_another_batch_size_goes_on_where_the_log_ends(tiny_config: Callable[..., Config]) -> None:
    run(tiny_config("train.epochs=1"))
    before = lines(tiny_config())
    run(tiny_config("train.epochs=2", "train.batch_size=16"), resume=True)
    now = lines(tiny_config())
    assert now[: len(before)] == before
    last, following = before[-1], now[len(before)]
    assert following["step"] == last["step"] + 1
    assert following["persons"] == last["persons"] + 16


def test_a_checkpoint_of_before_steps_were_counted_has_those_of_its_epochs(tiny_config: Callable[..., Config]) -> None:
    trainer = trainer_of(tiny_config())
    trainer.state.epoch = 1
    write_tree(trainer.experiment.last, trainer.tree())
    tree = torch.load(trainer.experiment.last, weights_only=True)
    del tree["progress"]["steps"], tree["progress"]["persons"]
    torch.save(tree, trainer.experiment.last)
    state = trainer_of(tiny_config(), resume=True).state
    assert (state.steps, state.persons) == (len(trainer.task.order), len(trainer.task.order) * 8)


def test_a_crash_in_the_validation_does_not_cost_the_epoch(
    tiny_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config("train.epochs=1")
    with monkeypatch.context() as broken:
        broken.setattr(Trainer, "_validate", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(config)
    assert load_checkpoint(experiment_of(config).last).progress["epoch"] == 1
    trained = losses(config)
    assert "gt/AP" in run(config, resume=True)
    assert losses(config) == trained
    assert experiment_of(config).best.exists()


def test_resuming_on_other_joints_is_refused(tiny_config: Callable[..., Config]) -> None:
    run(tiny_config("train.epochs=1"))
    path = experiment_of(tiny_config()).last
    tree = torch.load(path, weights_only=True)
    tree["skeleton"]["names"][0] = "snout"
    torch.save(tree, path)
    with pytest.raises(InputError, match=r"--resume: .* was trained on the joints snout"):
        run(tiny_config(), resume=True)


def test_a_damaged_checkpoint_never_takes_the_place_of_the_whole_one(tiny_config: Callable[..., Config]) -> None:
    config = tiny_config()
    run(config)
    experiment = experiment_of(config)
    whole = experiment.previous.read_bytes()
    experiment.last.write_bytes(experiment.last.read_bytes()[:1000])
    trainer_of(config, resume=True)
    assert not experiment.last.exists() and experiment.previous.read_bytes() == whole


def test_resuming_within_an_epoch_of_other_steps_is_refused(tiny_config: Callable[..., Config]) -> None:
    config = tiny_config()
    trainer = trainer_of(config)
    trainer.state.seen = 8
    write_tree(trainer.experiment.last, trainer.tree())
    trainer_of(config, resume=True)
    with pytest.raises(InputError, match=r"set train\.batch_size=8 until the end of the epoch"):
        trainer_of(tiny_config("train.batch_size=4"), resume=True)


def test_resuming_with_fewer_epochs_than_are_done_is_refused(tiny_config: Callable[..., Config]) -> None:
    trainer = trainer_of(tiny_config("train.epochs=3"))
    trainer.state.epoch = 2
    write_tree(trainer.experiment.last, trainer.tree())
    trainer_of(tiny_config("train.epochs=2"), resume=True)
    with pytest.raises(
        InputError, match=r"train\.epochs=1, but .*last\.pt has already finished 2 epochs; set it to 2 or more"
    ):
        trainer_of(tiny_config("train.epochs=1"), resume=True)


def test_resuming_within_an_epoch_that_is_no_longer_wanted_is_refused(tiny_config: Callable[..., Config]) -> None:
    trainer = trainer_of(tiny_config("train.epochs=3"))
    trainer.state.epoch, trainer.state.seen = 2, 8
    write_tree(trainer.experiment.last, trainer.tree())
    with pytest.raises(
        InputError, match=r"train\.epochs=2, but .* has already finished 2 epochs and 8 persons; set it to 3 or more"
    ):
        trainer_of(tiny_config("train.epochs=2"), resume=True)


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ("{drop_path_rate: 0.1}", "{}", r"model\.backbone\.options: {'drop_path_rate': 0\.1} -> {}"),
        ("{}", "{drop_path_rate: 0.1}", r"model\.backbone\.options: {} -> {'drop_path_rate': 0\.1}"),
    ],
)
def test_another_set_of_backbone_options_is_told_when_resuming(
    tiny_config: Callable[..., Config], caplog: pytest.LogCaptureFixture, before: str, now: str, told: str
) -> None:
    trainer = trainer_of(tiny_config(f"model.backbone.options={before}"))
    write_tree(trainer.experiment.last, trainer.tree())
    trainer_of(tiny_config(f"model.backbone.options={now}"), resume=True)
    assert re.search(rf"resuming with changed options: {told}$", caplog.text, re.MULTILINE)


@pytest.mark.parametrize(
    ("select_by", "option", "before", "now", "kept"),
    [
        ("gt/NME", "eval.nme_reference", "box", "box", True),
        ("gt/NME", "eval.nme_reference", "box", "area", False),
        ("gt/PCK@0.1", "eval.pck_reference", "torso", "torso", True),
        ("gt/AP", "eval.nme_reference", "box", "area", True),
    ],
)
def test_the_best_so_far_is_forgotten_where_its_number_is_now_relative_to_another_length(
    tiny_config: Callable[..., Config], select_by: str, option: str, before: str, now: str, kept: bool
) -> None:
    trainer = trainer_of(tiny_config(f"train.select_by={select_by}", f"{option}={before}"))
    trainer.state.best = 0.1
    write_tree(trainer.experiment.last, trainer.tree())
    resumed = trainer_of(tiny_config(f"train.select_by={select_by}", f"{option}={now}"), resume=True)
    assert resumed.state.best == (0.1 if kept else None)


def test_a_checkpoint_of_another_version_says_how_to_start_from_it(tiny_config: Callable[..., Config]) -> None:
    trainer = trainer_of(tiny_config())
    write_tree(trainer.experiment.last, trainer.tree())
    tree = torch.load(trainer.experiment.last, weights_only=True)
    del tree["progress"]["seen"]
    torch.save(tree, trainer.experiment.last)
    with pytest.raises(InputError, match=r"lacks seen.*model\.init_from"):
        trainer_of(tiny_config(), resume=True)


def test_resume_takes_the_new_rate_and_refuses_another_optimizer(tiny_config: Callable[..., Config]) -> None:
    run(tiny_config("train.epochs=1"))
    changed = tiny_config("train.optimizer.weight_decay=0.5")
    trainer = trainer_of(changed, resume=True)
    assert trainer.optimizer.param_groups[0]["weight_decay"] == 0.5
    assert trainer.optimizer.state_dict()["state"]
    with pytest.raises(InputError, match="was started with adam"):
        trainer_of(tiny_config("train.optimizer.name=sgd"), resume=True)


def test_resume_without_a_checkpoint_is_refused(tiny_config: Callable[..., Config]) -> None:
    with pytest.raises(InputError, match=r"--resume: no checkpoint .*last\.pt"):
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


def test_requeue_deletes_no_results_where_it_cannot_go_on(tiny_config: Callable[..., Config]) -> None:
    config = tiny_config("train.epochs=1")
    best = experiment_of(config).best
    best.parent.mkdir(parents=True)
    best.touch()
    (best.parent.parent / "config.yaml").touch()
    with pytest.raises(InputError, match=r"contains an earlier run; pass --overwrite to delete it, or --name"):
        train(config, ALONE, requeue=True)
    assert best.exists()


def test_requeue_begins_again_where_a_run_ended_before_its_first_checkpoint(tiny_config: Callable[..., Config]) -> None:
    experiment = experiment_of(tiny_config())
    experiment.folder.mkdir(parents=True)
    (experiment.folder / "config.yaml").touch()
    (experiment.folder / "metrics.jsonl").write_text('{"step": 1}\n')
    experiment.check(resume=False, overwrite=False, requeue=True)


def test_a_signal_before_the_first_step_leaves_something_to_go_on_from(
    tiny_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tiny_config()
    whole = Validation.run

    def run_and_signal(validation: Validation[Any], model: Any, batches: int | None = None) -> Any:
        signal.raise_signal(signal.SIGTERM)
        return whole(validation, model, batches)

    monkeypatch.setattr(Validation, "run", run_and_signal)
    with pytest.raises(Stopped):
        run(config)
    monkeypatch.undo()
    run(config, resume=True)
    assert lines(config)[-1]["epoch"] == config.train.epochs


def test_what_is_broken_in_validation_shows_before_the_first_step(
    tiny_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("broken")

    monkeypatch.setattr(CocoEvaluator, "evaluate", broken)
    monkeypatch.setattr(Trainer, "step", lambda *_: pytest.fail("a step was taken"))
    with pytest.raises(RuntimeError, match="broken"):
        run(tiny_config())


def test_requeue_begins_where_nothing_is_there(tiny_config: Callable[..., Config]) -> None:
    config = tiny_config("train.epochs=1")
    train(config, ALONE, requeue=True)
    assert experiment_of(config).last.exists()


# --- other data -------------------------------------------------------------------------------------------------------


@pytest.fixture
def own_data(tiny_config: Callable[..., Config], tmp_path: Path) -> Path:
    """A data set of the test's own, which it may change."""
    return shutil.copytree(tiny_config().data.root, tmp_path / "data")


def change(root: Path, split: str, change_persons: Callable[[list[dict[str, Any]]], object]) -> None:
    """Change the annotations of a file in place."""
    path = root / "annotations" / f"person_keypoints_{split}.json"
    tree = json.loads(path.read_text())
    change_persons(tree["annotations"])
    path.write_text(json.dumps(tree))


@pytest.mark.parametrize(
    ("split", "changed", "words"),
    [
        ("train", lambda persons: persons.pop(), r"train\.json had 42 persons and now has 41"),
        ("train", lambda persons: persons[0]["keypoints"].__setitem__(0, 1.5), r"train\.json had other joints"),
        ("val", lambda persons: persons[0]["bbox"].__setitem__(2, 9.5), r"val\.json had other boxes"),
    ],
)
def test_a_run_resumed_on_other_labels_says_so_and_goes_on(
    tiny_config: Callable[..., Config],
    own_data: Path,
    caplog: pytest.LogCaptureFixture,
    split: str,
    changed: Callable[[list[dict[str, Any]]], object],
    words: str,
) -> None:
    run(tiny_config(f"data.root={own_data}", "train.epochs=1"))
    change(own_data, split, changed)
    config = tiny_config(f"data.root={own_data}", "train.epochs=2")
    run(config, resume=True)
    pattern = rf"resuming on other data than the run had so far: \S*{words}; restore these files"
    assert len([text for text in caplog.messages if re.match(pattern, text)]) == 1, caplog.text
    caplog.clear()
    run(tiny_config(f"data.root={own_data}", "train.epochs=3"), resume=True)
    assert "other data" not in caplog.text  # the change is known


def test_a_run_resumed_on_the_same_labels_elsewhere_says_nothing(
    tiny_config: Callable[..., Config], own_data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run(tiny_config(f"data.root={own_data}", "train.epochs=1"))
    own_data.rename(tmp_path / "elsewhere")
    run(tiny_config(f"data.root={tmp_path / 'elsewhere'}", "train.epochs=2"), resume=True)
    assert "other data" not in caplog.text


def test_a_best_value_on_other_validation_persons_is_not_one_to_beat(
    tiny_config: Callable[..., Config], own_data: Path
) -> None:
    run(tiny_config(f"data.root={own_data}", "train.epochs=1"))
    config = tiny_config(f"data.root={own_data}", "train.epochs=2")
    assert trainer_of(config, resume=True).state.best is not None
    change(own_data, "val", lambda persons: persons.pop())
    assert trainer_of(config, resume=True).state.best is None


def test_a_loss_that_diverges_after_the_labels_changed_is_blamed_on_them_first(
    tiny_config: Callable[..., Config], own_data: Path
) -> None:
    run(tiny_config(f"data.root={own_data}", "train.epochs=1"))
    change(own_data, "train", lambda persons: persons.pop())
    trainer = trainer_of(tiny_config(f"data.root={own_data}", "train.epochs=2", "train.optimizer.lr=1e30"), resume=True)
    trainer.experiment.folder.mkdir(exist_ok=True)
    with pytest.raises(DivergedError, match=r"persons and now has 41\), so check these labels first, or else lower"):
        trainer.fit()
