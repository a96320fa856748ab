"""Configs by name, from any folder."""

from pathlib import Path

import pytest

from rlepose.cli import main
from rlepose.config.reading import load_config
from rlepose.config.shipped import find_config, find_suite, first_comment, shipped_configs
from rlepose.errors import InputError

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("given", ["coco_res50_rle", "coco_res50_rle.yaml", "configs/coco_res50_rle.yaml"])
def test_a_shipped_config_is_found_by_its_name(given: str) -> None:
    assert find_config(given) == CONFIGS / "coco_res50_rle.yaml"
    assert load_config(find_config(given)).name == "coco_res50_rle", "its base lies beside it"


@pytest.mark.parametrize("given", ["coco_paper", "suites/coco_paper.yaml", "configs/suites/coco_paper.yaml"])
def test_a_shipped_suite_is_found_by_its_name(given: str) -> None:
    assert find_suite(given) == CONFIGS / "suites" / "coco_paper.yaml"


def test_what_configs_share_is_found_with_its_folder() -> None:
    assert find_config("recipes/coco") == CONFIGS / "recipes" / "coco.yaml"


def test_a_file_of_the_user_comes_before_a_shipped_one(empty_folder: Path) -> None:
    mine = empty_folder / "configs" / "coco_res50_rle.yaml"
    mine.parent.mkdir()
    mine.touch()
    assert find_config("configs/coco_res50_rle.yaml").resolve() == mine


def test_a_folder_of_the_name_of_a_config_is_in_nobodys_way(empty_folder: Path) -> None:
    (empty_folder / "coco_res50_rle").mkdir()  # as in exp/
    assert find_config("coco_res50_rle") == CONFIGS / "coco_res50_rle.yaml"


@pytest.mark.parametrize(
    ("given", "fix"),
    [
        ("coco_res50_rel", "did you mean coco_res50_rle or "),
        ("configs/mpi_res50_rle.yaml", "did you mean mpii_res50_rle"),
        ("nowhere/mine.yaml", "check the path"),
        ("../coco_res50_rle", "check the path"),
    ],
)
def test_a_missing_config_is_answered_with_near_ones(given: str, fix: str) -> None:
    with pytest.raises(InputError) as problem:
        find_config(given)
    assert str(problem.value).startswith(f"{given}: cannot read the config file (No such file or directory); {fix}")


def test_a_missing_suite_is_answered_with_a_suite() -> None:
    with pytest.raises(InputError, match=r"did you mean coco_paper\?$"):
        find_suite("coco_papers.yaml")


def test_the_configs_are_listed_with_what_they_say(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, folder in (["configs"], CONFIGS), (["configs", "--suites"], CONFIGS / "suites"):
        monkeypatch.setattr("sys.argv", ["rlepose", *arguments])
        main()
        first, *lines = capsys.readouterr().out.splitlines()
        assert first == f"in {CONFIGS}"
        assert [line.split()[0] for line in lines] == sorted(path.stem for path in folder.glob("*.yaml"))
    assert lines[0].split(maxsplit=1)[1] == first_comment(CONFIGS / "suites" / "coco_paper.yaml")


def test_a_config_without_a_comment_says_nothing(empty_folder: Path) -> None:
    (empty_folder / "a.yaml").write_text("name: a  # not about the file")
    assert first_comment(empty_folder / "a.yaml") == ""


def test_suites_and_recipes_are_no_configs_of_a_training() -> None:
    assert not {"coco_paper", "recipes/coco", "coco"} & set(shipped_configs())
