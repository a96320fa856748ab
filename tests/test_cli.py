"""The program `rlepose`: its commands, what help and mistakes cost, and the scripts that run the same."""

import ast
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import rlepose
from rlepose.cli import COMMANDS, main

ROOT = Path(__file__).parents[1]
SCRIPTS = {  # that run a command; the others have no command
    "train.py": "train",
    "validate.py": "validate",
    "predict.py": "predict",
    "recalibrate.py": "recalibrate",
    "export.py": "export",
    "convert_checkpoint.py": "convert",
    "report.py": "report",
    "compare.py": "compare",
    "inspect_dataset.py": "inspect",
    "split_dataset.py": "split",
    "prepare_data.py": "prepare",
    "make_synthetic.py": "draw-people",
    "make_synthetic_3d.py": "draw-people-3d",
    "demo_web.py": "demo-web",
    "model_info.py": "info",
}
HEAVY = ("torch", "torchvision", "timm", "cv2", "numpy", "scipy", "matplotlib", "pycocotools", "yaml")


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """typed('train', '--help') -> exit code, stdout and stderr of `rlepose train --help`."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rlepose", *arguments])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        return code, *capsys.readouterr()

    return run


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_without_a_command_all_are_listed_with_a_line_each(typed, arguments: list[str]) -> None:
    code, printed, _ = typed(*arguments)
    assert code == 0
    for name, command in COMMANDS.items():
        assert f"  {name} " in printed and f" {command.summary}\n" in printed


@pytest.mark.parametrize("argument", ["--help", "configs"])
def test_a_reader_that_has_seen_enough_is_no_error(argument: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "rlepose", argument]
    result = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    os.close(writer)
    assert (result.returncode, result.stderr) == (0, "")


def test_the_version_is_told(typed) -> None:
    assert typed("--version") == (0, f"rlepose {rlepose.__version__}\n", "")


@pytest.mark.parametrize(
    ("name", "fix"),
    [("trian", "did you mean train?"), ("draw_people", "did you mean draw-people?"), ("xyz", "`rlepose --help` lists")],
)
def test_an_unknown_command_is_answered_with_the_nearest(typed, name: str, fix: str) -> None:
    code, printed, message = typed(name, "--cfg", "a.yaml")
    assert (code, printed) == (2, "")
    assert message.startswith(f"error: {name}: no such command; {fix}")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_under_the_name_that_was_typed(typed, name: str) -> None:
    code, printed, _ = typed(name, "--help")
    assert code == 0
    assert printed.startswith(f"usage: rlepose {name} ")
    assert f"{COMMANDS[name].summary}" in printed
    assert "scripts/" not in printed


def test_help_names_each_default_once(typed) -> None:
    _, printed, _ = typed("draw-people", "--help")
    assert [printed.count(text) for text in ("default", "data/synthetic)", "8000)", "300)", "default: 0)")] == [
        4,
        1,
        1,
        1,
        1,
    ]
    _, printed, _ = typed("report", "--help")
    assert printed.count("default") == 2
    _, printed, _ = typed("compare", "--help")
    assert "inf" not in printed


def test_help_and_wrong_arguments_import_nothing_heavy() -> None:
    code = f"""
import contextlib, io, sys
from rlepose.cli import COMMANDS, main
for arguments in [[], ["nothing"], *([name, flag] for name in COMMANDS for flag in ("--help", "--no-such-option")),
                  ["train", "--cfg", "a", "--profile", "0"], ["split", "a.json", "--shares", "fit=2"],
                  ["inspect", "a.json", "--val", "b.json"], ["export", "--checkpoint", "a", "--format", "b"]]:
    sys.argv = ["rlepose", *arguments]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code
    assert code in ((0, None) if not arguments or "--help" in arguments else (2,)), arguments
print([name for name in {HEAVY} if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (result.stdout, result.stderr) == ("[]\n", "")


def test_importing_rlepose_imports_nothing_heavy_and_gives_the_predictor() -> None:
    code = f"""
import sys, rlepose
print([name for name in {HEAVY} if name in sys.modules])
from rlepose import Predictor
from rlepose.inference.predictor import Predictor as same
print(Predictor is same)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (result.stdout, result.stderr) == ("[]\nTrue\n", "")


def test_the_public_names_exist_and_others_do_not() -> None:
    assert set(rlepose.__all__) <= set(dir(rlepose))
    assert [name for name in rlepose.__all__ if getattr(rlepose, name).__name__ != name] == []
    assert not hasattr(rlepose, "predictor")


def test_the_commands_that_scripts_run_have_one_each() -> None:
    calls = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "scripts").glob("*.py")}
    assert {name for name, text in calls.items() if "run_as_script" in text} == set(SCRIPTS)
    assert {*SCRIPTS.values(), "configs", "lift"} == set(COMMANDS)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_takes_what_its_command_takes(
    script: str, typed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = SCRIPTS[script]
    _, of_command, _ = typed(name, "--help")
    path = ROOT / "scripts" / script
    monkeypatch.setattr(sys, "argv", [str(path), "--help"])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(path), run_name="__main__")
    assert end.value.code == 0
    of_script = capsys.readouterr().out
    assert of_script.startswith(f"usage: {script} ")
    assert of_script.partition("positional")[2:] == of_command.partition("positional")[2:]
    assert of_script.partition("options:")[2] == of_command.partition("options:")[2] != ""


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_first_lines_of_a_script_say_what_its_help_says(script: str) -> None:
    docstring = ast.get_docstring(ast.parse((ROOT / "scripts" / script).read_text(encoding="utf-8"))) or ""
    description = COMMANDS[SCRIPTS[script]].description(f"python scripts/{script}")
    assert docstring.split() == description.split()


@pytest.mark.parametrize("module", ["rlepose", "rlepose.cli"])
def test_python_runs_the_package_as_the_program(module: str) -> None:
    command = [sys.executable, "-m", module, "train", "--cfg", "a.yaml", "--profile", "0"]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=os.environ | {"COLUMNS": "200"})
    assert result.returncode == 2
    assert result.stderr.endswith("python -m rlepose train: error: --profile: expected at least 1 step\n")
