"""Terminals that lack characters: what they lack is replaced, and nothing ends."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rlepose.runtime.run_log import log_to_file, setup_logging

SAY = """
import logging
from rlepose.errors import run_script
from rlepose.runtime.run_log import setup_logging

def main():
    setup_logging(True)
    logging.info("8 \\xd7 2 \\u2192 \\u03c3 in \\udcfc.jpg")
    print("\\xb1 1")

run_script(main)
"""
NO_UTF8_MODE = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.parametrize(
    ("environment", "printed"),
    [
        ({"PYTHONIOENCODING": "ascii"}, "8 ? 2 ? ? in ?.jpg\n? 1\n"),
        ({"LC_ALL": "C", **NO_UTF8_MODE}, "8 ? 2 ? ? in ?.jpg\n? 1\n"),
        ({"PYTHONIOENCODING": "latin-1"}, None),
        ({"PYTHONIOENCODING": "utf-8"}, "8 × 2 → σ in ?.jpg\n± 1\n"),  # a name on a disk that is in no encoding
    ],
)
def test_characters_that_a_terminal_lacks_are_replaced(
    run_python: Callable[..., Any], environment: dict[str, str], printed: str | None
) -> None:
    result = run_python(SAY, raw=True, **environment)
    assert result.returncode == 0, result.stderr
    expected = b"8 \xd7 2 ? ? in ?.jpg\n\xb1 1\n" if printed is None else printed.encode()
    assert result.stdout == expected
    assert b"Error" not in result.stderr


def test_the_log_keeps_a_name_that_is_in_no_encoding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.getLogger().handlers[:]
    try:
        setup_logging(True)
        log_to_file(tmp_path / "train.log")
        logging.getLogger().removeHandler(logging.getLogger().handlers[0])
        logging.getLogger().info("left out: \udcfc.jpg")
    finally:
        for handler in logging.getLogger().handlers:
            handler.close()
        logging.getLogger().handlers[:] = before
    assert "left out: \\udcfc.jpg" in (tmp_path / "train.log").read_text(encoding="utf-8")
    assert "Error" not in capsys.readouterr().err
