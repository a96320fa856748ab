"""How compare_commits.py runs a commit: its code in a folder, and the documented commands on tiny networks and data.

Only scripts and files that users know are named here, and no module of the project: a commit may move all of those.
"""

import compileall
import io
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compare_commits_plans import DETECTIONS, PLANS, RESUMED

REPOSITORY = Path(__file__).parent.parent
WORKING_TREE = (".", "worktree")
STOPPED = 75  # exit code of a training that a signal stopped
STOP_AFTER_LINES = 14  # of metrics.jsonl: in the second epoch of path 2d, which has 46 lines in all


class UnknownCommitError(Exception):
    """What the user named is no commit."""


class RunFailedError(Exception):
    """A command of a commit ended with an error, or without what it should have written."""


class Checkout:
    """A commit's code, and the folder in which its runs work."""

    def __init__(self, name: str, description: str, folder: Path) -> None:
        self.name = name
        self.description = description
        self.code = folder / name / "code"
        self._work = folder / name / "work"

    def draw(self) -> Path:
        """Draw both data sets, unless they are there; -> their folder, which no run may write to."""
        out = self._work / "data"
        if not out.exists():
            self._run("scripts/make_synthetic.py", "--out", out / "2d", "--train", 96, "--val", 32)
            self._run("scripts/make_synthetic_3d.py", "--out", out / "3d", "--train", 1, "--test", 1, "--mpii", 48)
            _write_detections(out / "2d")
            for path in (*out.rglob("*"), out):
                path.chmod(0o555 if path.is_dir() else 0o444)
        return out

    def folder_of(self, path: str, repeat: int = 0) -> Path:
        """Where a training writes."""
        return self._work / "exp" / f"{path}_{repeat}"

    def train(self, path: str, data: Path, repeat: int = 0) -> float:
        """Train; -> processor seconds of the training, start included."""
        before = _child_seconds()
        if path == RESUMED:
            self._stop_in_between(path, data, repeat)
            self._run(*self._training(path, data, repeat), "--resume")
        else:
            self._run(*self._training(path, data, repeat), ranks=PLANS[path].ranks)
        return _child_seconds() - before

    def validate(self, path: str, repeat: int = 0) -> Path:
        """Validate the last checkpoint in all ways of the path; -> the folder of what that wrote."""
        folder = self.folder_of(path, repeat)
        for number, arguments in enumerate(PLANS[path].validations):
            out = folder / "validations" / str(number)
            checkpoint = folder / "checkpoints" / "last.pt"
            self._run("scripts/validate.py", "--checkpoint", checkpoint, "--out", out, *arguments)
        return folder / "validations"

    def _training(self, path: str, data: Path, repeat: int) -> list[object]:
        """Arguments of Python."""
        plan, folder = PLANS[path], self.folder_of(path, repeat)
        places = (
            f"output_dir={folder.parent}",
            f"data={{root: {data / plan.data}, cache_dir: {self._work / 'cache' / folder.name}}}",
        )
        return ["scripts/train.py", "--cfg", plan.config, "--name", folder.name, "--set", *plan.options, *places]

    def _stop_in_between(self, path: str, data: Path, repeat: int) -> None:
        """Begin a training and send it SIGTERM in the middle of an epoch."""
        log = self.folder_of(path, repeat) / "metrics.jsonl"
        command = [sys.executable, *map(str, self._training(path, data, repeat))]
        with (self._work / "stopped.txt").open("w+") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, **self._surroundings())
            while process.poll() is None:
                if log.exists() and log.read_bytes().count(b"\n") >= STOP_AFTER_LINES:
                    process.send_signal(signal.SIGTERM)
                    break
                time.sleep(0.01)
            process.wait()
            output.seek(0)
            if process.returncode != STOPPED:
                raise self._failure(command, process.returncode, output.read())

    def _run(self, *arguments: object, ranks: int = 1) -> None:
        """Run a script of this commit; RunFailedError where its exit code is not 0."""
        launcher = [sys.executable]
        if ranks > 1:
            launcher += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
        command = [*launcher, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, **self._surroundings())
        if done.returncode:
            raise self._failure(command, done.returncode, done.stdout + done.stderr)

    def _surroundings(self) -> dict[str, Any]:
        """Where processes run: one thread each, and this commit's package before any that is installed."""
        return {"cwd": self.code, "env": os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(self.code)}}

    def _failure(self, command: Sequence[str], code: int, output: str) -> RunFailedError:
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        script = next(word for word in command if word.startswith("scripts/"))
        return RunFailedError(f"{self.name}'s {script} ended with exit code {code}: {(lines or ['no output'])[-1]}")


def unpack(revision: str, name: str, folder: Path) -> Checkout:
    """The code of a commit, or of the working tree, in a folder of its own; UnknownCommitError where there is none."""
    if revision in WORKING_TREE:
        description = "the working tree"
        tracked = _git("ls-files", "-z", "--cached", "--others", "--exclude-standard").decode().split("\0")
        checkout = Checkout(name, description, folder)
        for file in filter(None, tracked):
            source, target = REPOSITORY / file, checkout.code / file
            if source.is_file():  # else it was deleted
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
    else:
        try:
            description = _git("show", "--no-patch", "--format=%h %s", f"{revision}^{{commit}}").decode().strip()
            archive = _git("archive", "--format=tar", f"{revision}^{{commit}}")
        except subprocess.CalledProcessError as error:
            raise UnknownCommitError(f"{name}: {revision} is no commit of {REPOSITORY}") from error
        checkout = Checkout(name, description, folder)
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(checkout.code, filter="data")
    compileall.compile_dir(checkout.code, quiet=2)  # else the first runs of a commit would take longer
    command = [sys.executable, "-c", "import rlepose; print(rlepose.__file__)"]
    found = subprocess.run(command, capture_output=True, text=True, **checkout._surroundings()).stdout.strip()
    if checkout.code not in Path(found).parents:
        raise UnknownCommitError(
            f"{name}: {revision} has no package rlepose that Python would import; it found {found}"
        )
    return checkout


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(REPOSITORY), *arguments], capture_output=True, check=True).stdout


def _child_seconds() -> float:
    """Processor time of all processes that this one has started and waited for, and of theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _write_detections(root: Path) -> None:
    """Boxes as a detector would give them: around each person twice, so that some poses are dropped as doubles."""
    rng = random.Random(0)
    truth = json.loads((root / "annotations" / "person_keypoints_val.json").read_text())
    boxes = [
        {
            "image_id": person["image_id"],
            "category_id": person["category_id"],
            "bbox": [value + rng.gauss(0, 0.05) * max(person["bbox"][2:]) for value in person["bbox"]],
            "score": rng.uniform(0.1, 1),
        }
        for person in truth["annotations"]
        for _ in range(2)
    ]
    (root / DETECTIONS).write_text(json.dumps(boxes))
