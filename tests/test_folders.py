"""Folders that tests use where a variable names them."""

from pathlib import Path

import pytest

from tests.conftest import FOLDERS, pytest_configure


@pytest.mark.parametrize("variable", FOLDERS)
def test_a_variable_that_names_no_folder_ends_the_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    for other in FOLDERS:
        monkeypatch.delenv(other, raising=False)
    pytest_configure()
    monkeypatch.setenv(variable, str(tmp_path / "nowhere"))
    with pytest.raises(pytest.UsageError, match=f"^{variable}: there is no folder .*nowhere; correct"):
        pytest_configure()
