"""Arguments that several commands take."""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from rlepose.errors import InputError
from rlepose.paths import expanded


def path_text(text: str) -> str:
    """Return a path argument with `~` and `$NAME` replaced, which a shell leaves in quotes and in `--out=~/x`."""
    try:
        return expanded(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def a_path(text: str) -> Path:
    """Return a path argument as `path_text` does; the type of all arguments that can only be paths."""
    return Path(path_text(text))


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Add --checkpoint."""
    parser.add_argument("--checkpoint", required=True, type=a_path, help="checkpoint file that training wrote")


def add_other_config(parser: argparse.ArgumentParser) -> None:
    """Add --cfg, a config that replaces the checkpoint's."""
    parser.add_argument("--cfg", type=path_text, help="YAML file that replaces the config stored in the checkpoint")


def add_overrides(parser: argparse.ArgumentParser, meaning: str = "override options") -> None:
    """Add `--set section.key=value …`, which can be repeated."""
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help=meaning)


_OPTION = re.compile(r"[A-Za-z_][\w.]*=")


def overrides_last(arguments: Sequence[str]) -> list[str]:
    """The arguments with what follows `--set` and is no KEY=VALUE before it: argparse would take a source for one.

    >>> overrides_last(["--set", "eval.flip_test=false", "FOLDER", "--out", "poses"])
    ['FOLDER', '--set', 'eval.flip_test=false', '--out', 'poses']
    """
    ordered: list[str] = []
    at: int | None = None  # where the last --set stands
    for argument in arguments:
        if argument.startswith("-"):
            at = len(ordered) if argument == "--set" else None
        if at is None or argument == "--set" or _OPTION.match(argument):
            ordered.append(argument)
        else:
            ordered.insert(at, argument)
            at += 1
    return ordered


def add_detector(parser: argparse.ArgumentParser, weights: str | None, weights_help: str) -> None:
    """Add the options of the person detector. weights: the default of --detector-weights."""
    parser.add_argument("--detector", default="fasterrcnn_mobilenet_v3_large_fpn", help="a torchvision detector")
    parser.add_argument("--detector-weights", type=path_text, default=weights, help=weights_help)
    parser.add_argument("--detector-threshold", type=float, default=0.5, help="minimum score of a person's box")


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add --device."""
    parser.add_argument("--device", default="auto", choices=["auto", "cuda", "cpu"], help="default: CUDA if available")
