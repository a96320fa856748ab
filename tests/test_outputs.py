"""Places that cannot be written: commands refuse them before any work, with an option that they have."""

import errno
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from rlepose.cli import COMMANDS, main
from rlepose.drawn_people.people import make_synthetic
from rlepose.errors import InputError
from rlepose.outputs import Output, check_output
from rlepose.preparation.prepare import prepare
from rlepose.preparation.sources import Archive, Source
from rlepose.runtime.checkpoint import load_checkpoint, save_checkpoint

ROOT = Path(__file__).parents[1]
# Arguments of commands whose output is below FILE, a file in the place of a folder; no input exists.
BELOW_A_FILE = [
    ("validate", ["--checkpoint", "no.pt", "--out", "FILE/new"], "--out FOLDER"),
    ("validate", ["--checkpoint", "FILE/no.pt"], "--out FOLDER"),
    ("validate", ["--checkpoint", "no.pt", "--split", "test-dev", "--out", "FILE"], "--out FOLDER"),
    ("export", ["--checkpoint", "no.pt", "--out", "FILE/a.onnx"], "--out FILE"),
    ("export", ["--checkpoint", "FILE/checkpoints/no.pt"], "--out FILE"),
    ("report", ["no", "--out", "FILE/report.html"], "--out FILE"),
    ("recalibrate", ["--checkpoint", "FILE/no.pt"], "--to FILE"),
    ("recalibrate", ["--checkpoint", "no.pt", "--to", "FILE/a.pt"], "--to FILE"),
    ("recalibrate", ["--checkpoint", "no.pt", "--out", "FILE/new"], "--out FOLDER"),
    ("predict", ["no.jpg", "--checkpoint", "no.pt", "--out", "FILE/new"], "--out FOLDER"),
    ("lift", ["--checkpoint", "no.pt", "--poses", "no.json", "--out", "FILE/a.json"], "--out FILE"),
    ("convert", ["no.pth", "--to", "FILE/a.pt"], "--to FILE"),
    ("inspect", ["no.json", "--out", "FILE"], "--out FOLDER"),
    ("split", ["no.json", "--out", "FILE"], "--out FOLDER"),
    ("split", ["FILE/no.json"], "--out FOLDER"),
    ("compare", ["--suite", "SUITE", "--out", "FILE/new"], "--out FOLDER"),
    ("compare", ["--suite", "SUITE", "--record", "FILE/new"], "--record FOLDER"),
    ("draw-people", ["--out", "FILE/new"], "--out FOLDER"),
    ("draw-people-3d", ["--out", "FILE/new"], "--out FOLDER"),
]
WRITES_NOTHING = {"info", "configs", "demo-web"}
CHECKS_ITSELF = {"train", "prepare", "draw-people", "draw-people-3d"}  # where files may be finished, and in a lock


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    """typed('validate', '--out', 'FILE/new') -> exit code and stderr, in a folder with the file FILE."""
    (tmp_path / "FILE").touch()
    rows = {"rows": [{"cfg": str(ROOT / "configs" / "synthetic_res18_rle.yaml")}]}
    (tmp_path / "SUITE").write_text(yaml.safe_dump(rows))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["rlepose", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0), capsys.readouterr().err

    return run


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """All disks, as far as making a file tells."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)


@pytest.mark.parametrize(("name", "arguments", "option"), BELOW_A_FILE)
def test_a_command_refuses_its_output_before_it_opens_its_input(
    typed, name: str, arguments: list[str], option: str
) -> None:
    code, message = typed(name, *arguments)
    assert code == 2
    assert "FILE is a file" in message and message.endswith(f"; choose another place with {option}\n")
    assert len(message.splitlines()) == 1
    assert option.split()[0] in COMMANDS[name].parser("rlepose", "rlepose")._option_string_actions


def test_every_command_that_writes_says_where() -> None:
    without = COMMANDS["info"].writes
    assert {name for name, command in COMMANDS.items() if command.writes is without} == WRITES_NOTHING | CHECKS_ITSELF


@pytest.mark.usefixtures("read_only")
def test_results_beside_a_checkpoint_on_a_read_only_disk_can_go_elsewhere(typed, tmp_path: Path) -> None:
    code, message = typed("validate", "--checkpoint", "exp/a/checkpoints/best.pt")
    place = tmp_path / "exp" / "a" / "results"
    assert code == 2
    assert message == (
        f"error: {place}: cannot write there (Read-only file system); choose another place with --out FOLDER\n"
    )


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs Linux's /proc, where nobody makes files")
def test_a_place_where_nobody_makes_files_is_refused() -> None:
    for path in ("/proc/new", "/proc/new/deeper"):
        with pytest.raises(InputError, match=rf"^{path}: cannot write there \(.*\); choose another place with --out"):
            check_output(Output(Path(path), "--out FOLDER"))


def test_a_folder_is_refused_where_a_file_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder, but a file is written; name another one with --to FILE"):
        check_output(Output(tmp_path, "--to FILE", is_folder=False))
    with pytest.raises(InputError, match="/dev/null: is a device"):
        check_output(Output(Path("/dev/null"), "--out FILE", is_folder=False))


def test_a_name_that_no_disk_takes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="File name too long"):
        check_output(Output(tmp_path / ("a" * 300), "--out FOLDER"))


def test_a_check_leaves_nothing_behind(tmp_path: Path) -> None:
    check_output(Output(tmp_path / "new" / "deeper", "--out FOLDER"))
    check_output(Output(tmp_path / "new" / "file", "--out FILE", is_folder=False))
    (tmp_path / "file").touch()
    check_output(Output(tmp_path / "file", "--out FILE", is_folder=False))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.usefixtures("read_only")
def test_a_drawn_data_set_on_a_read_only_disk_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "TemporaryFile", tempfile.NamedTemporaryFile)
        assert make_synthetic(tmp_path / "new", {"train": 1}, 0)
    assert not make_synthetic(tmp_path / "new", {"train": 1}, 0)
    with pytest.raises(InputError, match="Read-only file system"):
        make_synthetic(tmp_path / "other", {"train": 1}, 0)


@pytest.mark.usefixtures("read_only")
def test_a_data_set_on_a_read_only_disk_is_refused_only_if_something_is_missing(tmp_path: Path) -> None:
    archive = Archive("http://127.0.0.1:9/pictures.zip", "pictures", 1, "")
    source = Source("title", "root", "page", "licence", "citation", (archive,), (), (), ())
    with pytest.raises(InputError, match=r"Read-only file system.*choose another place with --root FOLDER"):
        prepare(source, tmp_path)
    (tmp_path / "pictures").mkdir()
    prepare(source, tmp_path)


def test_a_converted_checkpoint_on_a_full_disk_is_told_with_an_option_of_its_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: Callable[..., Path]
) -> None:
    loaded = load_checkpoint(checkpoint())

    def fill(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("torch.save", fill)
    with pytest.raises(InputError, match=r"No space left on device\).*choose another place with --to FILE"):
        save_checkpoint(tmp_path / "a.pt", loaded)
