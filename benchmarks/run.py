"""Measure the parts of the project, beside the authors' code if a clone is given; print a table, write JSON."""

import argparse
import importlib.metadata
import json
import logging
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import evaluation
import inference
import items
import loss
import precision
import scaling
import start
import step
import torch
from bench import Bench
from measuring import Row, measure, table
from official import Worker, without_official

from rlepose.errors import InputError, run_script

GROUPS: dict[str, Callable[[Bench], list[Row]]] = {
    "items": items.rows,
    "evaluation": evaluation.rows,
    "loss": loss.rows,
    "step": step.rows,
    "precision": precision.rows,
    "inference": inference.rows,
    "start": start.rows,
    "scaling": scaling.rows,
}
REPOSITORY = Path(__file__).parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--official", type=Path, metavar="DIR", help="unmodified clone of the authors' repository")
    parser.add_argument("--rows", nargs="+", choices=GROUPS, default=list(GROUPS), help="groups; default: all")
    parser.add_argument("--rounds", type=int, default=5, help="how often each side is measured, in turn")
    parser.add_argument("--data", type=Path, default=REPOSITORY / "data" / "coco", help="COCO, or a part in its layout")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write all numbers")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it runs; numbers mean nothing")
    args = parser.parse_args()
    needs_data = "items" in args.rows
    if needs_data and not (args.data / "annotations" / "person_keypoints_train2017.json").exists():
        raise InputError(f"--data: {args.data} has no annotations/person_keypoints_train2017.json; name COCO's folder")
    if args.official is not None and not (args.official / "rlepose" / "models").is_dir():
        raise InputError(f"--official: {args.official} has no rlepose/models; name a clone of the authors' repository")

    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    logging.disable(logging.WARNING)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        official = without_official if args.official is None else Worker(args.official, Path(folder))
        bench = Bench(args.data, args.quick, official, Path(folder))
        results = []
        for row in [row for group in args.rows for row in GROUPS[group](bench)]:
            print(f"[{time.perf_counter() - started:4.0f} s] {row.name}", file=sys.stderr, flush=True)
            results.append(measure(row, 0 if args.quick else args.rounds))
        if isinstance(official, Worker):
            official.close()
    about = machine()
    print("\n".join(f"{key}: {value}" for key, value in about.items()))
    if args.official is not None:
        print(
            "authors: their files as they are; in their process NumPy's old type names are put back, and weights random"
        )
    print(f"\n{table(results)}")
    if args.json is not None:
        args.json.write_text(json.dumps({"about": about, "rows": [asdict(result) for result in results]}, indent=1))


def machine() -> dict[str, Any]:
    """What the numbers depend on."""
    packages = ("torch", "numpy", "opencv-python-headless", "timm", "pycocotools")
    models = {line.partition(":")[2].strip() for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")}
    git = ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty"]
    return {
        "command": shlex.join(["python", *sys.argv]),
        "commit": subprocess.run(git, capture_output=True, text=True).stdout.strip() or "unknown",
        "machine": f"{os.cpu_count()} cores of {', '.join(models) or platform.processor()}, {platform.system()}",
        "load": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "versions": f"python {platform.python_version()}, "
        + ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages),
    }


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


if __name__ == "__main__":
    run_script(main)
