"""What the pages promise: commands that exist with the arguments they are given, options, configs and links."""

import re
import shlex
from itertools import takewhile
from pathlib import Path

import pytest
from torch.distributed.run import get_args_parser

from rlepose.config.names import option_names
from rlepose.config.reading import load_config

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("data/*.md"), *ROOT.glob("exp/*.md")])
CODE = re.compile(r"`([^`]+)`|^ {4}(.+)$", re.MULTILINE)
OPTIONS = option_names()
GROUPS = {name.rpartition(".")[0] for name in OPTIONS if "." in name}
OPTION = re.compile(
    rf"(?<![\w./])(?:{'|'.join(group for group in GROUPS if '.' not in group)})\.[a-z][a-z_.]*\w(?!\w*[/(])"
)
FILE = re.compile(r"\.(?:jpg|json|log|md|onnx|pt|py|safetensors|yaml)$")


def code_of(page: Path) -> list[str]:
    """Everything a page shows in typewriter, continued lines joined."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    return [inline or block for inline, block in CODE.findall(text)]


def commands_of(page: Path) -> list[list[str]]:
    found = [re.search(r"(?:python|torchrun)\b.*\bscripts/\w+\.py.*", code) for code in code_of(page)]
    return [shlex.split(match[0], comments=True) for match in found if match]


COMMANDS = [(page, command) for page in PAGES for command in commands_of(page)]


def test_the_pages_show_commands() -> None:
    assert {page.name for page, _ in COMMANDS} >= {"README.md", "deployment.md", "own_data.md"}


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=lambda value: value.name if isinstance(value, Path) else "")
def test_a_command_is_understood_by_its_script(page: Path, command: list[str]) -> None:
    at = next(index for index, word in enumerate(command) if word.startswith("scripts/"))
    source = (ROOT / command[at]).read_text(encoding="utf-8")
    flags = {word.split("=")[0] for word in command[at + 1 :] if word.startswith("--")}
    assert {flag for flag in flags if f'"{flag}"' not in source} == set()
    launcher = {word.split("=")[0].replace("_", "-") for word in command[:at] if word.startswith("--")}
    known = {flag for action in get_args_parser()._actions for flag in action.option_strings}
    assert {flag for flag in launcher if flag not in known} == set()
    for word in command[at + 1 :]:
        if word.startswith("configs/"):
            assert [*ROOT.glob(re.sub("[A-Z]{2,}", "*", word))], f"{word} of {page.name} does not exist"


def of_training(command: list[str]) -> bool:
    """Whether it trains with a config of the repository."""
    return "scripts/train.py" in command and (ROOT / command[command.index("--cfg") + 1]).is_file()


@pytest.mark.parametrize(
    ("page", "command"),
    [(page, command) for page, command in COMMANDS if of_training(command)],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_the_options_of_a_training_go_together(page: Path, command: list[str]) -> None:
    at = command.index("--set") if "--set" in command else len(command)
    settings = takewhile(lambda word: not word.startswith("--"), command[at + 1 :])
    values = [re.sub("=[A-Z]+$", "=1", setting) for setting in settings]  # seed=SEED
    load_config(ROOT / command[command.index("--cfg") + 1], values)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_options_that_a_page_names_exist(page: Path) -> None:
    named = {match[0] for code in code_of(page) for match in OPTION.finditer(code)}
    assert {name for name in named if name not in {*OPTIONS, *GROUPS} and not FILE.search(name)} == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    local = [link for link in links if not re.match(r"https?:|mailto:", link)]
    assert [link for link in local if not (page.parent / link).exists()] == []
