"""The example of docs/tutorial.md, as it stands there."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from rlepose.pose.skeleton import COCO

DOCS = Path(__file__).parent.parent.parent / "docs" / "tutorial.md"


def test_the_example_tells_of_each_joint_whether_to_use_it(
    checkpoint: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    block = re.search(r"```python\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    (tmp_path / "exp" / "NAME" / "checkpoints").mkdir(parents=True)
    shutil.copy(checkpoint(), tmp_path / "exp" / "NAME" / "checkpoints" / "best.pt")
    cv2.imwrite(str(tmp_path / "person.jpg"), np.random.default_rng(0).integers(0, 256, (90, 60, 3)))
    monkeypatch.chdir(tmp_path)
    exec(block[1], {})
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines} == set(COCO.names)
    shares = [float(line.split("±")[1].split("%")[0]) for line in lines]
    assert shares == sorted(shares)
    assert all(("look again" in line) == (share >= 5) for line, share in zip(lines, shares, strict=True) if share != 5)
