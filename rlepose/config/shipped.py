"""Configs that rlepose brings: package data of a wheel, and the folder configs/ of a checkout."""

import difflib
from pathlib import Path

import rlepose
from rlepose.errors import InputError

_PACKAGE = Path(rlepose.__file__).parent
_SUITES = "suites"
_FOLDERS = ("", _SUITES, "recipes")


def shipped_folder() -> Path:
    """The folder of all of them. InputError where the installation has none."""
    folder = next((place / "configs" for place in (_PACKAGE, _PACKAGE.parent) if (place / "configs").is_dir()), None)
    if folder is None:
        raise InputError(f"{_PACKAGE}: has no configs beside or inside it; install rlepose from its wheel or checkout")
    return folder


def shipped_configs(folder: str = "") -> dict[str, Path]:
    """The configs by name, e.g. 'coco_res50_rle'. folder: 'suites' for the suites, 'recipes' for what configs share."""
    return {path.stem: path for path in sorted((shipped_folder() / folder).glob("*.yaml"))}


def first_comment(config: Path) -> str:
    """What the first line of a config says about it; '' where the line is no comment."""
    line = config.read_text(encoding="utf-8").partition("\n")[0]
    return line.removeprefix("#").strip() if line.startswith("#") else ""


def find_config(given: str) -> Path:
    """The config file that a user means: a path, or the name of a shipped config.

    given: the path of a file, from any folder; otherwise coco_res50_rle, coco_res50_rle.yaml or
    configs/coco_res50_rle.yaml, and likewise for recipes/ and suites/. InputError, with the nearest names, where there
    is neither.
    """
    return _find(given, "")


def find_suite(given: str) -> Path:
    """The suite that a user means: as `find_config`, but a name alone, such as coco_paper, is a suite's."""
    return _find(given, _SUITES)


def _find(given: str, folder: str) -> Path:
    path = Path(given)
    if path.exists() and not path.is_dir():
        return path
    name = path.as_posix().removeprefix("configs/").removesuffix(".yaml")
    above, _, stem = name.rpartition("/")
    place = above or folder
    shipped = shipped_configs(place) if place in _FOLDERS else {}
    if stem in shipped:
        return shipped[stem]
    near = difflib.get_close_matches(stem, shipped, n=3)
    reason = "Is a directory" if path.is_dir() else "No such file or directory"
    fix = (
        f"did you mean {' or '.join(near)}?" if near else "check the path, or take a name that `rlepose configs` lists"
    )
    raise InputError(f"{given}: cannot read the config file ({reason}); {fix}")
