"""Paths as a user writes them: what a shell would make of `~` and `$NAME`, wherever a path is given."""

import argparse
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from rlepose import Detector, Lifter, Predictor
from rlepose.cli import COMMANDS
from rlepose.commands.arguments import a_path, path_text
from rlepose.comparison.suite import load_suite
from rlepose.config.config import Config
from rlepose.config.names import option_types, option_values, path_options
from rlepose.config.reading import config_from_dict, load_config, with_overrides
from rlepose.errors import InputError
from rlepose.paths import expanded
from rlepose.runtime.experiment import Experiment

# Options that are text, but no path.
NO_PATHS = {
    "name",
    "model.backbone.options",
    "data.group_key",
    "data.category",
    "eval.nme_reference",
    "train.select_by",
}

# Arguments without a type: no paths, or relative to data.root, which is known later.
NO_PATH_ARGUMENTS = {"set", "name", "rows", "host", "detector", "category", "group_key", "shares"}
NO_PATH_ARGUMENTS |= {"fit_annotations", "fit_images"}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home folder, the value of $PLACE and the working directory."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PLACE", str(tmp_path))
    monkeypatch.delenv("UNSET", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(path: Path, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(options))
    return path


@pytest.mark.parametrize(
    "path", ["~", "~/x.pt", "$PLACE/x", "${PLACE}_2/x", "a$PLACE", "~no_such_user/x", "run~1/x", "a/~/x", "/x/y", "$1"]
)
def test_a_path_means_what_it_means_in_a_shell(path: str) -> None:
    shell = subprocess.run(["bash", "-c", f"printf %s {path}"], capture_output=True, text=True, check=True)
    assert expanded(path) == (path if path == "$1" else shell.stdout)


@pytest.mark.parametrize(("path", "name"), [("$UNSET/x", "UNSET"), ("a/${UNSET}", "UNSET"), ("${A:-b}", "A:-b")])
def test_a_variable_that_is_not_set_is_named(path: str, name: str) -> None:
    with pytest.raises(InputError) as error:
        expanded(path)
    assert str(error.value).startswith(f"{path}: the environment variable {name} is not set; ")


def test_an_empty_variable_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMPTY", "")
    with pytest.raises(InputError, match="EMPTY is empty"):
        expanded("$EMPTY/data")


def test_a_dollar_in_a_name_that_exists_is_part_of_the_name(place: Path) -> None:
    (place / "a$UNSET").mkdir()
    (place / "a$UNSET" / "$PLACE.json").touch()
    assert expanded("a$UNSET/$PLACE.json") == "a$UNSET/$PLACE.json"
    assert expanded("~/a$UNSET/new") == f"{place}/a$UNSET/new", "a new file in it"
    assert expanded("$PLACE.json", place / "a$UNSET") == "$PLACE.json", "relative to a folder"


def test_every_option_with_a_path_is_declared_as_one() -> None:
    texts = {name for name, hint in option_types().items() if str in (hint, *getattr(hint, "__args__", ()))}
    names = {name for name in texts if name.rpartition(".")[2] == "name"} - {"model.backbone.name"}
    assert texts - names - NO_PATHS == set(path_options())


@pytest.mark.parametrize("name", sorted(path_options()))
def test_an_option_with_a_path_takes_home_and_variables(place: Path, name: str) -> None:
    before = path_options()[name].after
    for text in ("~/x", "$PLACE/x"):
        overrides = [f"{name}={before}{text}"]
        if name.startswith("data.extra"):
            other = "images" if name.endswith("annotations") else "annotations"
            overrides += [f"data.extra_{other}=y", "data.format=h36m"]
        file = written(place / "case.yaml", model={"head": {"name": "regression"}})
        assert option_values(load_config(file, overrides))[name] == f"{before}{place}/x"


def test_a_file_of_options_takes_home_and_variables_in_lists_too(place: Path) -> None:
    data = {"root": "~/set", "train_annotations": ["$PLACE/a.json", "b.json"], "train_images": ["~/a", "b"]}
    config = load_config(written(place / "case.yaml", data=data, output_dir="${PLACE}/exp"))
    assert (config.data.root, config.output_dir) == (f"{place}/set", f"{place}/exp")
    assert config.data.train_annotations == (f"{place}/a.json", "b.json")
    assert config.data.train_images == (f"{place}/a", "b")


def test_a_name_with_a_dollar_below_the_data_set_is_found(place: Path) -> None:
    (place / "set").mkdir()
    (place / "set" / "val$UNSET.json").touch()
    data = {"val_annotations": "val$UNSET.json", "root": "~/set"}
    assert load_config(written(place / "case.yaml", data=data)).data.val_annotations == "val$UNSET.json"


def test_a_base_is_found_by_a_variable(place: Path) -> None:
    written(place / "shared" / "base.yaml", train={"seed": 7})
    assert load_config(written(place / "case.yaml", base="$PLACE/shared/base.yaml")).train.seed == 7


def test_an_unset_variable_of_a_config_is_named_with_its_file_and_option(place: Path) -> None:
    file = written(place / "case.yaml", data={"cache_dir": "$UNSET/cache"})
    with pytest.raises(InputError, match=r"case\.yaml: data\.cache_dir: \$UNSET/cache: the environment variable UNSET"):
        load_config(file)
    with pytest.raises(InputError, match=r"^--set: model\.init_from: \$UNSET/best\.pt: the environment variable UNSET"):
        load_config(written(place / "case.yaml"), ["model.init_from=$UNSET/best.pt"])
    with pytest.raises(InputError, match=r"case\.yaml: base: \$UNSET/base\.yaml: the environment variable UNSET"):
        load_config(written(place / "case.yaml", base="$UNSET/base.yaml"))


def test_a_stored_config_has_the_paths_that_were_used_and_needs_no_variable(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config(written(place / "case.yaml", data={"root": "$PLACE/set"}))
    Experiment.of(config).open(config, resume=False)
    monkeypatch.delenv("PLACE")
    assert load_config(Path("exp/case/config.yaml")).data.root == f"{place}/set"
    stored = config_from_dict({"name": "case", "data": {"root": "gone$UNSET"}})
    assert with_overrides(stored, ["train.seed=3"]).data.root == "gone$UNSET", "a stored value is not read again"


def test_a_suite_takes_home_and_variables(place: Path) -> None:
    written(place / "configs" / "case.yaml")
    rows = [{"cfg": "$PLACE/configs/case.yaml", "set": ["data.root=~/set"]}]
    suite = load_suite(written(place / "suite.yaml", runs_in="~/runs", rows=rows))
    (run,) = suite.runs()
    assert run.experiment.folder == place / "runs" / "case_seed0"
    assert run.config.data.root == f"{place}/set"


def parser_of(name: str) -> argparse.ArgumentParser:
    return COMMANDS[name].parser("rlepose", "rlepose")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_path_argument_of_a_command_takes_home(place: Path, name: str) -> None:
    takes_text = [action for action in parser_of(name)._actions if action.nargs != 0 and not action.choices]
    untyped = {action.dest for action in takes_text if action.type is None}
    assert untyped <= NO_PATH_ARGUMENTS
    for action in takes_text:
        if action.type in (a_path, path_text):
            assert str(action.type("~/x")) == f"{place}/x"
        elif action.type is not None:
            assert action.type in (int, float) or action.dest == "min_score", f"{action.dest}: not a path of a user"


def test_an_unset_variable_of_an_argument_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser_of("validate").parse_args(["--checkpoint", "a.pt", "--out=$UNSET/x"])
    assert "argument --out: $UNSET/x: the environment variable UNSET is not set" in capsys.readouterr().err


def test_a_predictor_takes_home_and_variables(checkpoint: Callable[..., Path], place: Path) -> None:
    path = checkpoint()
    assert path == place / "tiny.pt"
    cv2.imwrite(str(place / "a.png"), np.zeros((64, 64, 3), np.uint8))
    (place / "boxes.json").write_text("[[[0, 0, 60, 60]]]")
    predictor = Predictor("~/tiny.pt", device="cpu")
    for images in ("$PLACE/a.png", Path("~/a.png"), ["~/a.png"]):
        (found,) = predictor.predict(images, boxes="~/boxes.json")
        assert len(found.persons) == 1 and found.name == f"{place}/a.png"
    (left_out,) = predictor.predict(["$UNSET/a.png"], boxes="whole")
    assert "variable UNSET is not set" in left_out.problems[0], "one of several pictures"


def test_a_lifter_and_a_detector_take_home(checkpoint: Callable[..., Path], place: Path) -> None:
    checkpoint()
    with pytest.raises(InputError, match="top_down does not lift"):  # so the file is found
        Lifter("~/tiny.pt", device="cpu")
    with pytest.raises(InputError, match=f"detector: .*{place}/none.pth"):
        Detector(weights="~/none.pth")


def test_a_checkpoint_keeps_the_paths_that_were_used(tiny_config: Callable[..., Config], place: Path) -> None:
    config = tiny_config("data.cache_dir=~/cache")
    assert config.data.cache_dir == f"{place}/cache"
    assert config_from_dict(config.to_dict()) == config
