"""The comparison of two commits sees a difference of one bit, says where it is, and takes no other thing for one."""

import importlib
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from rlepose.config.reading import load_config

REPOSITORY = Path(__file__).parent.parent.parent
LOSS, NEXT = 0.1, math.nextafter(0.1, 1)


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    return importlib.import_module("compare_commits_results")


@pytest.fixture
def script(results: ModuleType) -> ModuleType:
    return importlib.import_module("compare_commits")


@pytest.fixture
def write_run(tmp_path: Path) -> Callable[..., Path]:
    """write_run('a', train={…}, metrics={…}, weight=…, best=…) -> an experiment folder of one step and validation."""

    def write(
        name: str, train: dict[str, Any] | None = None, metrics: dict[str, Any] | None = None, **other: Any
    ) -> Path:
        folder = tmp_path / name
        (folder / "checkpoints").mkdir(parents=True)
        lines = (
            {"step": 1, "persons": 8, "train/loss": LOSS, "train/persons_per_second": hash(name), **(train or {})},
            {"step": 1, "persons": 8, "gt/NME": 0.25, "gt/APM": None, **(metrics or {})},
        )
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        weight = other.get("weight", torch.tensor([1.0, float("nan")]))
        for file, value in (("last.pt", weight), ("best.pt", other.get("best", weight))):
            tree = {"config": {"name": name}, "model": {"bias": value}, "random_states": [{"cpu": torch.zeros(2)}]}
            torch.save(tree, folder / "checkpoints" / file)
        return folder

    return write


def test_runs_that_differ_in_speed_and_config_alone_are_equal(
    results: ModuleType, write_run: Callable[..., Path]
) -> None:
    found = results.compare_trainings(write_run("a"), write_run("b"))
    assert found == {
        "losses": results.Comparison(2),  # persons, train/loss
        "weights": results.Comparison(4),  # two tensors in each of two files
        "metrics": results.Comparison(3),
    }


def test_the_last_bit_of_a_loss_is_found_with_its_step(results: ModuleType, write_run: Callable[..., Path]) -> None:
    found = results.compare_trainings(write_run("a"), write_run("b", train={"train/loss": NEXT}))
    assert found["losses"].differing == 1
    assert found["losses"].first == f"step 1, train/loss: {LOSS} -> {NEXT}, at most 1.39e-17 apart"
    assert not found["weights"].first and not found["metrics"].first


def test_a_new_name_in_the_log_is_told_and_a_missing_one_differs(
    results: ModuleType, write_run: Callable[..., Path]
) -> None:
    short, long = write_run("short"), write_run("long", metrics={"gt/EPE": 3.0})
    added, lost = (results.compare_trainings(*pair)["metrics"] for pair in ((short, long), (long, short)))
    assert (added.differing, added.new) == (0, {"gt/EPE"})
    assert (lost.differing, lost.first, lost.new) == (1, "step 1, gt/EPE: missing", set())


def test_a_known_name_at_a_new_step_differs(results: ModuleType) -> None:
    one, two = {("step 1", "loss"): 1.0}, {("step 1", "loss"): 1.0, ("step 2", "loss"): 1.0}
    found = results.compare_values(one, two)
    assert (found.differing, found.first, found.new) == (1, "step 2, loss: added", set())


def test_a_number_that_became_undefined_differs(results: ModuleType) -> None:
    found = results.compare_values({("step 1", "AP"): 0.5}, {("step 1", "AP"): None})
    assert found.first == "step 1, AP: 0.5 -> None"
    found = results.compare_values({("step 1", "AP"): 0.5}, {("step 1", "AP"): math.nan})
    assert found.first == "step 1, AP: 0.5 -> nan"


def test_a_tensor_of_the_best_checkpoint_alone_is_found(results: ModuleType, write_run: Callable[..., Path]) -> None:
    best = torch.tensor([1.0, 2.0])
    found = results.compare_trainings(write_run("a", best=best), write_run("b", best=best * torch.tensor([1, 1.5])))
    assert found["weights"].differing == 1
    assert found["weights"].first == "best.pt: model.bias: 2 -> 3 at 1, 1 of 2 numbers, at most 1 apart"


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (torch.tensor([-0.0, 1]), "0 -> -0 at 0, 1 of 2 numbers"),
        (torch.tensor([0.0, math.nextafter(1, 2)], dtype=torch.float64), "torch.float32 (2,) -> torch.float64 (2,)"),
        (torch.tensor([[0.0, 1]]), "torch.float32 (2,) -> torch.float32 (1, 2)"),
    ],
)
def test_tensors_are_compared_by_type_shape_and_bits(results: ModuleType, other: torch.Tensor, told: str) -> None:
    assert told in results.compare_tensors({"w": torch.tensor([0.0, 1])}, {"w": other}).first


@pytest.mark.parametrize("tensor", [torch.zeros(()), torch.zeros(0, 3), torch.ones(2, 2).t(), torch.tensor([True])])
def test_tensors_of_any_shape_equal_their_copy(results: ModuleType, tensor: torch.Tensor) -> None:
    assert results.compare_tensors({"w": tensor}, {"w": tensor.clone()}) == results.Comparison(1)


def test_a_tensor_that_only_one_side_has_differs(results: ModuleType) -> None:
    one, two = {"model.w": torch.zeros(1)}, {"model.w": torch.zeros(1), "model.v": torch.zeros(1)}
    assert results.compare_tensors(one, two).first == "model.v: added"
    assert results.compare_tensors(two, one).first == "model.v: missing"


def test_a_part_that_only_the_second_checkpoint_has_is_new(results: ModuleType) -> None:
    one, two = {"model.w": torch.zeros(1)}, {"model.w": torch.zeros(1), "spread": torch.zeros(1)}
    assert results.compare_tensors(one, two) == results.Comparison(1, new=frozenset({"spread"}))
    assert results.compare_tensors(two, one).first == "spread: missing"


def test_persons_seen_are_compared_under_their_former_name(results: ModuleType, write_run: Callable[..., Path]) -> None:
    before, now = write_run("a"), write_run("b")
    log = before / "metrics.jsonl"
    log.write_text(log.read_text().replace('"persons"', '"images"'))
    assert '"images"' in log.read_text()
    found = results.compare_trainings(before, now)
    assert (found["losses"].differing, found["metrics"].differing) == (0, 0)


def test_validations_are_compared_pose_by_pose_and_picture_by_picture(results: ModuleType, tmp_path: Path) -> None:
    for side, number, pixel in (("a", 2, b"x"), ("b", 3, b"y")):
        folder = tmp_path / side / "0"
        folder.mkdir(parents=True)
        (folder / "poses.json").write_text(json.dumps([{"keypoints": [1, 1]}, {"keypoints": [1, number]}]))
        (folder / "validation.json").write_text(json.dumps({"time": side}))
        (folder / "persons.png").write_bytes(pixel)
    found = results.compare_folders(tmp_path / "a", tmp_path / "b")
    assert (found.count, found.differing) == (5, 2)  # the picture and four numbers; not what tells when it was
    assert found.first.startswith("0, persons.png: 1 bytes of SHA-1 ")
    (tmp_path / "b" / "0" / "persons.png").write_bytes(b"x")
    found = results.compare_folders(tmp_path / "a", tmp_path / "b")
    assert found.first == "0 item [1][1], poses.json [].keypoints[]: 2 -> 3, at most 1 apart"


def test_a_list_that_is_no_longer_empty_differs(results: ModuleType, tmp_path: Path) -> None:
    for side, items in (("a", []), ("b", [7])):
        (tmp_path / side).mkdir()
        (tmp_path / side / "metrics.json").write_text(json.dumps({"left_out": items}))
    assert results.compare_folders(tmp_path / "a", tmp_path / "b").first == "., metrics.json left_out: missing"


def test_runs_without_a_number_are_not_equal(results: ModuleType) -> None:
    assert results.compare_values({}, {}).first == results.compare_tensors({}, {}).first == "nothing to compare"


@pytest.mark.parametrize("file", ["metrics.jsonl", "checkpoints/best.pt"])
def test_a_run_that_left_a_file_out_is_told(results: ModuleType, write_run: Callable[..., Path], file: str) -> None:
    a, b = write_run("a"), write_run("b")
    (b / file).unlink()
    with pytest.raises(results.UnreadableError, match=file):
        results.compare_trainings(a, b)


def test_a_row_takes_the_fastest_training_of_each_commit(script: ModuleType) -> None:
    row = script.Row("2d")
    row.seconds = {"A": [10.0, 8.0], "B": [6.0, 9.0]}
    row.add(losses=script.Comparison(3), files=script.Comparison(4, 1, "0, metrics.json AP: 1 -> 2"))
    assert row.cells() == ["2d", "3 equal", "–", "–", "1 of 4 differ", "0.750", "files: 0, metrics.json AP: 1 -> 2"]
    assert not row.equal


def test_a_failed_run_is_not_equal(script: ModuleType) -> None:
    row = script.Row("2d")
    assert row.equal
    row.failure = "B: scripts/train.py ended with exit code 1"
    assert not row.equal and row.cells()[-1] == row.failure


def test_all_trainings_set_options_that_there_are(script: ModuleType) -> None:
    for plan in script.PLANS.values():
        assert load_config(REPOSITORY / plan.config, plan.options).train.log_every == 1


def test_an_unknown_commit_is_named(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["compare_commits.py", "no-such-commit", "."])
    with pytest.raises(SystemExit) as exit_:
        script.main()
    assert exit_.value.code == 2
    assert "A: no-such-commit is no commit of" in capsys.readouterr().err
