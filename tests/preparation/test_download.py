"""Fetching and unpacking, against a server of this machine that cuts connections and archives that lie."""

import hashlib
import zipfile
from pathlib import Path

import pytest

from rlepose.errors import InputError
from rlepose.preparation.download import fetch
from rlepose.preparation.unpack import unpack
from tests.preparation.conftest import CONTENT, Server

MD5 = hashlib.md5(CONTENT).hexdigest()


def test_a_file_is_fetched(server: Server, tmp_path: Path) -> None:
    fetch(server.url(), tmp_path / "new" / "file", MD5)
    assert (tmp_path / "new" / "file").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file"]


def test_a_cut_connection_is_taken_up_where_it_ended(server: Server, tmp_path: Path) -> None:
    server.cuts = [1000, 0, 500]
    fetch(server.url(), tmp_path / "file", MD5)
    assert server.starts == [0, 1000, 1000, 1500]
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize(("length", "starts"), [(10, [10]), (len(CONTENT), [len(CONTENT)])])
def test_a_later_call_goes_on(server: Server, tmp_path: Path, length: int, starts: list[int]) -> None:
    (tmp_path / "file.part").write_bytes(CONTENT[:length])
    fetch(server.url(), tmp_path / "file", MD5)
    assert server.starts == starts and (tmp_path / "file").read_bytes() == CONTENT


def test_what_is_longer_than_the_file_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(CONTENT + b"more")
    fetch(server.url(), tmp_path / "file", MD5)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_server_without_ranges_starts_again(server: Server, tmp_path: Path) -> None:
    server.knows_ranges, server.cuts = False, [1000]
    fetch(server.url(), tmp_path / "file", MD5)
    assert server.starts == [0, 0] and (tmp_path / "file").read_bytes() == CONTENT


def test_another_file_is_refused_and_deleted(server: Server, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"the downloaded file does not have the checksum 0a0a .*run the command again"
    ):
        fetch(server.url(), tmp_path / "file", "0a0a")
    assert not list(tmp_path.iterdir())


def test_a_server_that_gives_nothing_is_told(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing: the server returned 404"):
        fetch(server.url("missing"), tmp_path / "file", MD5)
    server.cuts = [100] + [0] * 5
    with pytest.raises(InputError, match=r"download failed .*ended at byte 100 of .*run the same command again"):
        fetch(server.url(), tmp_path / "file", MD5)
    assert (tmp_path / "file.part").read_bytes() == CONTENT[:100]


# --- unpacking ------------------------------------------------------------------------------------------------------


def pack(path: Path, names: list[str]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, name)
    return path


def test_an_archive_is_unpacked_and_an_interrupted_unpacking_goes_on(tmp_path: Path) -> None:
    archive, out = pack(tmp_path / "archive.zip", ["a/one", "a/b/two", "three"]), tmp_path / "out"
    unpack(archive, out)
    whole = (out / "a" / "one").stat().st_mtime_ns
    (out / "three").write_text("th")
    unpack(archive, out)
    assert {str(p.relative_to(out)): p.read_text() for p in out.rglob("*") if p.is_file()} == {
        name: name for name in ("a/one", "a/b/two", "three")
    }
    assert (out / "a" / "one").stat().st_mtime_ns == whole


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "..\\evil", "C:\\evil"])
def test_names_that_lead_out_are_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    archive = pack(tmp_path / "archive.zip", ["good", name])
    with pytest.raises(InputError, match="leads outside the folder"):
        unpack(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists() and not list(tmp_path.rglob("evil"))


def test_half_an_archive_is_refused(tmp_path: Path) -> None:
    archive = pack(tmp_path / "archive.zip", ["a/one", "three"])
    archive.write_bytes(archive.read_bytes()[:60])
    with pytest.raises(InputError, match="not a complete zip file"):
        unpack(archive, tmp_path / "out")
