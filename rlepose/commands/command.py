"""A command of `rlepose`: its arguments and the function that runs it."""

import argparse
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlepose.commands.arguments import overrides_last
from rlepose.outputs import Output


class _Help(argparse.HelpFormatter):
    """Adds to an argument's help its default, if that is a number, a word or a path that the help does not name yet."""

    def _get_help_string(self, action: argparse.Action) -> str:
        text = action.help or ""
        shown = isinstance(action.default, (int, float, str, Path)) and not isinstance(action.default, bool)
        if not shown or action.default == argparse.SUPPRESS or "default" in text:
            return text
        return f"{text} (default: %(default)s)"


class _HelpAsWritten(_Help, argparse.RawDescriptionHelpFormatter):
    """Keeps the line breaks of the description."""


class _Parser(argparse.ArgumentParser):
    """Takes positional arguments also after `--set KEY=VALUE …`."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        arguments = list(sys.argv[1:] if args is None else args)
        return super().parse_args(overrides_last(arguments) if self._get_positional_actions() else arguments, namespace)


def _accept(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Accept any combination of valid arguments."""


def _nothing(args: argparse.Namespace) -> Iterable[Output]:
    """Return the outputs of a command that writes none, or checks them itself."""
    return ()


@dataclass(frozen=True)
class Command:
    """A command that `rlepose NAME` and a file of scripts/ both run.

    Declaring and checking arguments imports neither torch nor NumPy, so that --help and errors appear at once; only
    `run` imports them.

    name: the word after `rlepose`. summary: one line about the command. example: arguments of a typical call.
    details: more paragraphs for --help. add_arguments(parser): declares the arguments. run(args): does the work and
    returns the exit code, None meaning 0. check(parser, args): rejects arguments that contradict each other, with
    parser.error or an InputError. writes(args): what `run` writes, which is checked before it; commands that may find
    their files finished, and then write none, call `check_output` themselves.
    """

    name: str
    summary: str
    example: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int | None]
    check: Callable[[argparse.ArgumentParser, argparse.Namespace], None] = _accept
    writes: Callable[[argparse.Namespace], Iterable[Output]] = _nothing
    details: str = ""

    def description(self, typed: str) -> str:
        """Return the summary and a typical call. typed: the text before the arguments, e.g. 'rlepose train'."""
        first = f"{self.summary}: {typed} {self.example}" if self.example else f"{self.summary}."
        return f"{first}\n\n{self.details}" if self.details else first

    def parser(self, prog: str, typed: str) -> argparse.ArgumentParser:
        """Return the command's argument parser. prog: the program's name in messages. typed: see `description`."""
        help_format = _HelpAsWritten if self.details else _Help
        parser = _Parser(prog, description=self.description(typed), formatter_class=help_format)
        self.add_arguments(parser)
        return parser
