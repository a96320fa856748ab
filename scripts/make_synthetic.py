"""Draw the synthetic data set: JPEG files and COCO keypoint JSON, two splits."""

import argparse
import json
from pathlib import Path

from rlepose.drawn_people.people import make_synthetic
from rlepose.errors import run_script


def main() -> None:
    """Parse the options, draw unless it is there already, and say what lies where."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("data/synthetic"), help="folder to write")
    parser.add_argument("--train", type=int, default=8000, help="number of training pictures")
    parser.add_argument("--val", type=int, default=300, help="number of validation pictures")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same files")
    options = parser.parse_args()
    sizes = {"train": options.train, "val": options.val}
    if not make_synthetic(options.out, sizes, options.seed):
        print(f"{options.out} was already made with these arguments; nothing written")
    for split, num_images in sizes.items():
        labels = options.out / "annotations" / f"person_keypoints_{split}.json"
        num_people = len(json.loads(labels.read_text())["annotations"])
        print(f"{split}: {num_images} pictures in {options.out / split}, {num_people} people in {labels}")


if __name__ == "__main__":
    run_script(main)
