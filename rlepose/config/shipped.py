"""Configs that come with rlepose: package data of a wheel, or the folder configs/ of a checkout."""

import difflib
from pathlib import Path

import rlepose
from rlepose.errors import InputError

_PACKAGE = Path(rlepose.__file__).parent
_SUITES = "suites"
_FOLDERS = ("", _SUITES, "recipes")


def shipped_folder() -> Path:
    """Return the folder with the configs. InputError if the installation has none."""
    folder = next((place / "configs" for place in (_PACKAGE, _PACKAGE.parent) if (place / "configs").is_dir()), None)
    if folder is None:
        raise InputError(
            f"{_PACKAGE}: no configs found beside or inside this folder; install rlepose from its wheel or checkout"
        )
    return folder


def shipped_configs(folder: str = "") -> dict[str, Path]:
    """Return configs by name, e.g. 'coco_res50_rle'. folder: 'suites', or 'recipes' for the bases of configs."""
    return {path.stem: path for path in sorted((shipped_folder() / folder).glob("*.yaml"))}


def first_comment(config: Path) -> str:
    """Return the comment on the first line of a config; '' if there is none."""
    line = config.read_text(encoding="utf-8").partition("\n")[0]
    return line.removeprefix("#").strip() if line.startswith("#") else ""


def find_config(given: str) -> Path:
    """Return the config file for a path or the name of a shipped config.

    given: the path of a file, or coco_res50_rle, coco_res50_rle.yaml or configs/coco_res50_rle.yaml, from any folder,
    and likewise for recipes/ and suites/. InputError, with the nearest names, if there is neither.
    """
    return _find(given, "")


def find_suite(given: str) -> Path:
    """Return the suite file, as `find_config`, except that a name alone, such as coco_paper, is a suite."""
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
    fix = f"did you mean {' or '.join(near)}?" if near else "check the path, or use a name from `rlepose configs`"
    raise InputError(f"{given}: cannot read the config file ({reason}); {fix}")
