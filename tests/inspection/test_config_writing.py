"""That a config which somebody edited is never overwritten."""

from pathlib import Path

from rlepose.inspection.config_writing import write_config


def test_a_config_that_nobody_edited_is_replaced(tmp_path: Path) -> None:
    path = write_config(tmp_path / "config.yaml", "a: 1\n")
    assert write_config(path, "a: 2\n") == path and path.read_text().startswith("a: 2\n")


def test_a_config_that_was_edited_stays(tmp_path: Path) -> None:
    path = write_config(tmp_path / "config.yaml", "a: 1\n")
    path.write_text(edited := path.read_text().replace("a: 1", "a: 3"))
    beside = write_config(path, "a: 2\n")
    assert path.read_text() == edited
    assert beside == tmp_path / "config_2.yaml" and beside.read_text().startswith("a: 2\n")
    assert write_config(path, "a: 4\n") == beside, "nobody edited the second file"


def test_a_config_of_unknown_origin_stays(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("mine: 1\n")
    (tmp_path / "config_2.yaml").write_bytes(b"\xff")
    assert write_config(path, "a: 2\n").name == "config_3.yaml" and path.read_text() == "mine: 1\n"


def test_the_same_text_is_written_once(tmp_path: Path) -> None:
    path = write_config(tmp_path / "config.yaml", "a: 1\n")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert write_config(path, "a: 2\n") == path, "an editor that changes only the ends of lines edits nothing"
