"""What the pages promise: commands that exist with the arguments they are given, options, configs and links."""

import re
import shlex
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

import pytest
from torch.distributed.run import get_args_parser

from rlepose.cli import COMMANDS
from rlepose.config.names import option_names
from rlepose.config.reading import load_config
from rlepose.config.shipped import find_config
from rlepose.errors import InputError

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("data/*.md"), *ROOT.glob("exp/*.md")])
CODE = re.compile(r"`([^`]+)`|^ {4}(.+)$", re.MULTILINE)
OPTIONS = option_names()
GROUPS = {name.rpartition(".")[0] for name in OPTIONS if "." in name}
OPTION = re.compile(
    rf"(?<![\w./])(?:{'|'.join(group for group in GROUPS if '.' not in group)})\.[a-z][a-z_.]*\w(?!\w*[/(])"
)
COMMAND = re.compile(r"(?:python|torchrun)\b.*\bscripts/\w+\.py.*|^(?:torchrun .*-m |python -m )?rlepose +[a-z].*")
FILE = re.compile(r"\.(?:jpg|json|log|md|onnx|pt|py|safetensors|yaml)$")


def code_of(page: Path) -> list[str]:
    """Everything a page shows in typewriter, continued lines joined."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    return [inline or block for inline, block in CODE.findall(text)]


class Shown(NamedTuple):
    """A command of a page: what stands before the program, the script or the command of `rlepose`, its arguments."""

    launcher: list[str]
    program: str
    arguments: list[str]

    @property
    def flags(self) -> set[str]:
        return {word.split("=")[0] for word in self.arguments if word.startswith("--")}


def commands_of(page: Path) -> list[Shown]:
    found = [COMMAND.search(code) for code in code_of(page)]
    return [shown(shlex.split(match[0], comments=True)) for match in found if match]


def shown(words: list[str]) -> Shown:
    at = next(index for index, word in enumerate(words) if word.startswith("scripts/") or word == "rlepose")
    program = at + (words[at] == "rlepose")
    return Shown(words[:at], words[program], words[program + 1 :])


SHOWN = [(page, command) for page in PAGES for command in commands_of(page)]


def name_of(program: str) -> str | None:
    """The command that a script runs, or that is one; None for a script with arguments of its own."""
    if not program.startswith("scripts/"):
        return program
    call = re.search(r'run_as_script\("([\w-]+)"\)', (ROOT / program).read_text(encoding="utf-8"))
    return call[1] if call else None


def test_the_pages_show_commands() -> None:
    assert {page.name for page, _ in SHOWN} >= {"README.md", "deployment.md", "own_data.md", "commands.md"}
    assert {name_of(command.program) for _, command in SHOWN} >= set(COMMANDS), "some command is shown nowhere"


@pytest.mark.parametrize(("page", "command"), SHOWN, ids=lambda value: value.name if isinstance(value, Path) else "")
def test_a_command_takes_what_a_page_gives_it(page: Path, command: Shown) -> None:
    name = name_of(command.program)
    if name is None:
        source = (ROOT / command.program).read_text(encoding="utf-8")
        assert {flag for flag in command.flags if f'"{flag}"' not in source} == set()
    else:
        parser = COMMANDS[name].parser("rlepose", "rlepose")
        assert command.flags <= {flag for action in parser._actions for flag in action.option_strings}
    launcher = {word.split("=")[0].replace("_", "-") for word in command.launcher if word.startswith("--")}
    assert launcher <= {flag for action in get_args_parser()._actions for flag in action.option_strings}
    for word in command.arguments:
        if word.startswith("configs/"):
            assert [*ROOT.glob(re.sub("[A-Z]{2,}", "*", word))], f"{word} of {page.name} does not exist"


def config_of(command: Shown) -> Path | None:
    """The config of the repository that a command trains with."""
    if name_of(command.program) != "train" or "--cfg" not in command.arguments:
        return None
    given = command.arguments[command.arguments.index("--cfg") + 1]
    try:
        return find_config(str(ROOT / given) if given.startswith("configs/") else given)
    except InputError:
        return None  # a file that the reader has


@pytest.mark.parametrize(
    ("page", "command"),
    [(page, command) for page, command in SHOWN if config_of(command)],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_the_options_of_a_training_go_together(page: Path, command: Shown) -> None:
    config, words = config_of(command), command.arguments
    at = words.index("--set") if "--set" in words else len(words)
    settings = takewhile(lambda word: not word.startswith("--"), words[at + 1 :])
    values = [re.sub("=[A-Z]+$", "=1", setting) for setting in settings]  # seed=SEED
    assert config is not None
    load_config(config, values)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_options_that_a_page_names_exist(page: Path) -> None:
    named = {match[0] for code in code_of(page) for match in OPTION.finditer(code)}
    assert {name for name in named if name not in {*OPTIONS, *GROUPS} and not FILE.search(name)} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    local = [link for link in links if not re.match(r"https?:|mailto:", link)]
    assert [link for link in local if not (page.parent / link).exists()] == []
