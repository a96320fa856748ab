"""How compare_commits.py runs a commit: its code in a folder, and the documented commands on tiny networks and data.

Only scripts and files that users know are named here, and no module of the project: a commit may move all of those.
"""

import compileall
import io
import json
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from compare_commits_plans import DETECTIONS, PLANS, RESUMED

REPOSITORY = Path(__file__).parent.parent
WORKING_TREE = (".", "worktree")
STOPPED = 75  # exit code of a training that a signal stopped
STOP_AFTER_LINES = 14  # of metrics.jsonl: in the second epoch of path 2d, which has 46 lines in all


class UnknownCommitError(Exception):
    """What the user named is no commit."""


class RunFailedError(Exception):
    """A command of a commit ended otherwise than it should."""


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
        plan, folder = PLANS[path], self.folder_of(path, repeat)
        places = (
            f"output_dir={folder.parent}",
            f"data={{root: {data / plan.data}, cache_dir: {self._work / 'cache' / folder.name}}}",
        )
        options = ("--cfg", plan.config, "--name", folder.name, "--set", *plan.options, *places)
        before = _child_seconds()
        if path == RESUMED:
            self._run("scripts/train.py", *options, stop_by=folder / "metrics.jsonl")
            self._run("scripts/train.py", *options, "--resume")
        else:
            self._run("scripts/train.py", *options, ranks=plan.ranks)
        return _child_seconds() - before

    def validate(self, path: str) -> Path:
        """Validate the last checkpoint in all ways of the path; -> the folder of what that wrote."""
        folder = self.folder_of(path)
        for number, arguments in enumerate(PLANS[path].validations):
            out = folder / "validations" / str(number)
            checkpoint = folder / "checkpoints" / "last.pt"
            self._run("scripts/validate.py", "--checkpoint", checkpoint, "--out", out, *arguments)
        return folder / "validations"

    def check_package(self) -> None:
        """UnknownCommitError unless Python, anywhere, imports this commit's package, and none that is installed."""
        command = [sys.executable, "-c", "import rlepose; print(rlepose.__file__)"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.code.parent, env=self._environment())
        if self.code not in Path(done.stdout.strip()).parents:
            found = done.stdout.strip() or (done.stderr.splitlines() or [""])[-1]
            raise UnknownCommitError(f"{self.name}: {self.description}: Python does not import its rlepose: {found}")

    def _run(self, script: str, *arguments: object, ranks: int = 1, stop_by: Path | None = None) -> None:
        """Run a script of this commit; RunFailedError where its exit code is another one than it should be.

        stop_by: a log; once it has STOP_AFTER_LINES lines, a signal stops the script.
        """
        launcher = [sys.executable]
        if ranks > 1:
            launcher += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}"]
        command = [*launcher, script, *map(str, arguments)]
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, cwd=self.code, env=self._environment()
            )
            try:
                if stop_by is not None:
                    while process.poll() is None and _count_lines(stop_by) < STOP_AFTER_LINES:
                        time.sleep(0.01)
                    process.terminate()
                process.wait()
            finally:  # also where the comparison itself is stopped
                process.terminate()
                process.wait()
            if process.returncode != (0 if stop_by is None else STOPPED):
                output.seek(0)
                what = f"{self.name}: {script}{', which a signal was to stop,' if stop_by is not None else ''}"
                raise RunFailedError(_failure(what, process.returncode, output.read()))

    def _environment(self) -> dict[str, str]:
        """One thread a process, and this commit's package before any that is installed."""
        return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(self.code)}


def unpack(revision: str, name: str, folder: Path) -> Checkout:
    """The code of a commit, or of the working tree, in a folder of its own; UnknownCommitError where there is none."""
    try:
        if revision in WORKING_TREE:
            checkout = Checkout(name, "the working tree", folder)
            _copy_working_tree(checkout.code)
        else:
            description = _git("show", "--no-patch", "--format=%h %s", f"{revision}^{{commit}}").decode().strip()
            checkout = Checkout(name, description, folder)
            with tarfile.open(fileobj=io.BytesIO(_git("archive", "--format=tar", f"{revision}^{{commit}}"))) as tar:
                tar.extractall(checkout.code, filter="data")
    except subprocess.CalledProcessError as error:
        raise UnknownCommitError(f"{name}: {revision} is no commit of {REPOSITORY}") from error
    compileall.compile_dir(checkout.code, quiet=2)  # else the first runs of a commit would take longer
    checkout.check_package()
    return checkout


def _copy_working_tree(target: Path) -> None:
    """Copy what is there now and not ignored: changes made while the trainings run are not taken in."""
    for name in _git("ls-files", "-z", "--cached", "--others", "--exclude-standard").decode().split("\0"):
        source = REPOSITORY / name
        if source.is_file():  # else it was deleted
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(REPOSITORY), *arguments], capture_output=True, check=True).stdout


def _count_lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _failure(what: str, code: int, output: str) -> str:
    """A sentence on a command that ended wrongly; the end of its output goes to stderr."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    print(f"--- {what} ended with exit code {code}:", *lines[-40:], "---", sep="\n", file=sys.stderr)
    errors = [line for line in lines if re.search(r"\berror: |\w(Error|Exception): ", line)]
    return f"{what} ended with exit code {code}: {(errors or lines or ['no output'])[-1]}"


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
