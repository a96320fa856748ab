import json
from pathlib import Path

import pytest

from rlepose.inference.json_list import JsonList


def test_the_file_is_a_whole_list_after_each_entry(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text("what an earlier run left, which was longer")
    with JsonList(path) as entries:
        assert json.loads(path.read_text()) == []
        written: list[object] = []
        for added in ([{"a": 1}], [], [[2, 3], "vier", None], [{"b": [0.5] * 5000}]):
            entries.add(added)
            written += added
            assert json.loads(path.read_text()) == written
    assert json.loads(path.read_text()) == written


def test_what_json_does_not_have_is_refused_and_the_file_stays(tmp_path: Path) -> None:
    with JsonList(tmp_path / "list.json") as entries:
        entries.add([1.5])
        with pytest.raises(ValueError, match="not JSON compliant"):
            entries.add([float("nan")])
    assert json.loads((tmp_path / "list.json").read_text()) == [1.5]
