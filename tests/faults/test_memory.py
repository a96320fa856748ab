"""Memory stays small and flat with as many persons as COCO has."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

PERSONS, PICTURES = 262_000, 64_000


def write_annotations(path: Path) -> None:
    """All persons are alike, and all pictures the same file."""
    joints = [f"joint_{side}{number}" for number in range(8) for side in ("left_", "right_")] + ["nose"]
    flat = [value for number in range(17) for value in (10 + 3 * number, 20 + 2 * number, 2)]
    person = json.dumps({"category_id": 1, "bbox": [5, 5, 80, 60], "area": 4000, "iscrowd": 0, "keypoints": flat})
    picture = json.dumps({"file_name": "picture.jpg", "width": 100, "height": 80})
    with path.open("w") as file:
        file.write(json.dumps({"categories": [{"id": 1, "name": "person", "keypoints": joints}]})[:-1])
        file.write(', "images": [' + ",".join(f'{{"id": {n}, {picture[1:]}' for n in range(PICTURES)) + "]")
        persons = (f'{{"id": {n}, "image_id": {n % PICTURES}, {person[1:]}' for n in range(PERSONS))
        file.write(', "annotations": [' + ",".join(persons) + "]}")


def load(folder: Path, epochs: int) -> dict[str, Any]:
    """What `coco_size.py` prints."""
    script = Path(__file__).with_name("coco_size.py")
    arguments = [folder / "annotations.json", folder, folder / "arrays", epochs]
    done = subprocess.run(
        [sys.executable, script, *map(str, arguments)], capture_output=True, text=True, cwd=script.parents[2]
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.faults
def test_persons_of_cocos_number_take_little_memory_that_does_not_grow(tmp_path: Path) -> None:
    """The first start parses the file; the second, which is measured, opens arrays."""
    cv2.imwrite(str(tmp_path / "picture.jpg"), np.zeros((80, 100, 3), np.uint8))
    write_annotations(tmp_path / "annotations.json")
    first, second = load(tmp_path, epochs=1), load(tmp_path, epochs=6)
    print(json.dumps({"first start": first, "second start": second}))  # pytest -s shows it
    assert second["persons"] == PERSONS
    memory = np.array(second["memory"])
    assert memory.shape == (6, 3)
    assert memory[-1].sum() - second["imports"] + second["arrays"] < 300
    assert (memory[-1] <= 1.05 * memory[0]).all()
