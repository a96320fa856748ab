"""Suite files: what they say, and what is refused."""

from pathlib import Path

import pytest

from rlepose.comparison.suite import load_suite
from rlepose.errors import InputError
from tests.comparison.made_runs import suite_of

ROOT = Path(__file__).parents[2]
SUITES = sorted((ROOT / "configs" / "suites").glob("*.yaml"))


@pytest.mark.parametrize("path", SUITES, ids=lambda path: path.stem)
def test_the_suites_that_the_project_ships_load(path: Path) -> None:
    suite = load_suite(path)
    assert len({run.name for run in suite.runs()}) == len(suite.rows) * len(suite.seeds)


def test_a_rows_options_win_over_the_suites_and_the_command_lines_over_both(tmp_path: Path) -> None:
    text = """
        runs_in: elsewhere
        seeds: [0, 3]
        set: [train.epochs=20, train.batch_size=10, eval.batch_size=7]
        rows:
          - {name: a, cfg: CONFIG, set: [train.epochs=30, train.batch_size=20]}
          - {name: b, cfg: CONFIG}
    """
    suite = suite_of(tmp_path, text, out=tmp_path / "out", overrides=["train.batch_size=40"])
    runs = suite.runs()
    assert [run.name for run in runs] == ["a_seed0", "b_seed0", "a_seed3", "b_seed3"]
    assert [run.config.train.seed for run in runs] == [0, 0, 3, 3]
    assert [run.config.train.epochs for run in runs] == [30, 20, 30, 20]
    assert {(run.config.train.batch_size, run.config.eval.batch_size) for run in runs} == {(40, 7)}
    assert runs[0].experiment.folder == tmp_path / "out" / "a_seed0"
    elsewhere = suite_of(tmp_path, text, seeds=[5]).runs()
    assert [str(run.experiment.folder) for run in elsewhere] == ["elsewhere/a_seed5", "elsewhere/b_seed5"]


def test_the_last_validation_gets_options_of_its_own(tmp_path: Path) -> None:
    text = """
        set: [data.val_images=tune, eval.batch_size=7]
        validate_set: [data.val_images=val, eval.flip_test=false]
        rows:
          - {name: a, cfg: CONFIG}
          - {name: b, cfg: CONFIG, validate_set: [eval.flip_test=true]}
    """
    suite = suite_of(tmp_path, text, overrides=["eval.batch_size=9"])
    for run, flip_test in zip(suite.runs(), (False, True), strict=True):
        assert run.config.data.val_images == "tune"
        assert run.validation.data.val_images == "val"
        assert (run.config.eval.flip_test, run.validation.eval.flip_test) == (True, flip_test)
        assert run.validation.eval.batch_size == 9
        assert run.validation.name == run.name
    assert not [text for text in suite.arguments(suite.rows[0], 0) if "flip_test" in text]
    assert suite.validate_arguments(suite.rows[1])[-2:] == ["eval.flip_test=false", "eval.flip_test=true"]


def test_a_row_can_start_from_the_checkpoint_of_an_earlier_one_with_its_seed(tmp_path: Path) -> None:
    text = """
        rows:
          - {name: a, cfg: CONFIG}
          - {name: b, cfg: CONFIG, after: a, set: ["model.init_from={after}"]}
    """
    _, second = suite_of(tmp_path, text, out="there", seeds=[2]).runs()
    assert second.config.model.init_from == "there/a_seed2/checkpoints/best.pt"


def test_a_place_for_a_checkpoint_needs_the_row_that_makes_it(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, 'rows: [{name: b, cfg: CONFIG, set: ["model.init_from={after}"]}]')
    with pytest.raises(InputError, match=r"mine\.yaml: row b: \{after\} needs `after: ROW`"):
        suite.runs()


def test_a_folder_is_taken_as_it_is_written(tmp_path: Path) -> None:
    (run,) = suite_of(tmp_path, "rows: [{name: b, cfg: CONFIG}]", out=tmp_path / "run #2: a").runs()
    assert run.experiment.folder == tmp_path / "run #2: a" / "b_seed0"


def test_some_rows_can_be_chosen_and_bring_what_they_start_from(tmp_path: Path) -> None:
    text = """
        rows:
          - {name: a, cfg: CONFIG}
          - {name: b, cfg: CONFIG, after: a}
          - {name: c, cfg: CONFIG}
          - {name: d, cfg: CONFIG, after: b}
    """
    suite = suite_of(tmp_path, text, out="there", seeds=[1, 2])
    assert [run.name for run in suite.runs(["d"])] == [f"{row}_seed{seed}" for seed in (1, 2) for row in "abd"]
    assert [run.row.name for run in suite.runs(["c", "a"])] == ["a", "c"] * 2
    with pytest.raises(InputError, match=r"mine\.yaml: no row e; choose from a, b, c, d"):
        suite.runs(["e"])


def test_the_published_numbers_of_a_row_are_found(tmp_path: Path) -> None:
    (tmp_path / "papers.md").write_text(
        "| method | AP |\n|---|---|\n| other | 1 |\n\n| id | AP | AP50 | input |\n|---|---|---|---|\n"
        "| `rle` | 70.5 | – | 256 |\n"
    )
    suite = suite_of(tmp_path, "rows: [{cfg: CONFIG, published: papers.md#rle}, {name: b, cfg: CONFIG}]")
    assert [row.published for row in suite.rows] == ["AP 70.5", ""]
    with pytest.raises(InputError, match=r"papers\.md has no row 'other'; choose from rle"):
        suite_of(tmp_path, "rows: [{cfg: CONFIG, published: papers.md#other}]")
    with pytest.raises(InputError, match=r"no file .*nowhere\.md"):
        suite_of(tmp_path, "rows: [{cfg: CONFIG, published: nowhere.md#rle}]")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("seeds: [0]", "rows: expected a list"),
        ("rows: []", "rows: expected a list"),
        ("rows: [CONFIG]", "row 1: expected {name: NAME, cfg: FILE}"),
        ("rows: [{cfg: CONFIG, sets: []}]", "row 1: sets: no such key; expected one of name, cfg, set"),
        ("row: [{cfg: CONFIG}]", "row: no such key; expected one of runs_in"),
        ("rows: [{cfg: CONFIG}, {cfg: CONFIG}]", "row 2: the name synthetic_res18_rle appears twice"),
        ("rows: [{cfg: CONFIG, after: x}]", "row 1: after: no earlier row x"),
        ("rows: [{cfg: CONFIG, name: 3}]", "row 1: name: expected text, got 3"),
        ("rows: [{cfg: CONFIG, set: train.epochs=3}]", "row 1: set: expected a list"),
        ("rows: [{cfg: CONFIG, calibration: maybe}]", "row 1: calibration: expected true or false"),
        ("{validate_set: a=1, rows: [{cfg: CONFIG}]}", "validate_set: expected a list like [train.epochs=20]"),
        ("{validate_set: [data.vall=1], rows: [{cfg: CONFIG}]}", "data.vall: no such option"),
        ("rows: [{cfg: CONFIG, validate_set: 3}]", "row 1: validate_set: expected a list"),
        ("{columns: gt/AP, rows: [{cfg: CONFIG}]}", "columns: expected a list like [gt/AP, gt/NLL], got 'gt/AP'"),
        ("{runs_in: 3, rows: [{cfg: CONFIG}]}", "runs_in: expected the path of a folder, got 3"),
        ("{seeds: 3, rows: [{cfg: CONFIG}]}", "seeds: expected a list of whole numbers, got 3"),
        ("{seeds: [a], rows: [{cfg: CONFIG}]}", "seeds: expected a list of whole numbers"),
        ("rows: [{cfg: CONFIG, set: [train.epoch=3]}]", "train.epoch: no such option; did you mean train.epochs"),
        ("rows: [{cfg: nowhere.yaml}]", "nowhere.yaml: cannot read the config file"),
        ("rows: [{cfg: CONFIG, name: a/b}]", "name: expected a folder name without"),
    ],
)
def test_a_wrong_suite_is_refused_before_anything_runs(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(InputError) as refusal:
        suite_of(tmp_path, text).runs()
    assert complaint in str(refusal.value)
