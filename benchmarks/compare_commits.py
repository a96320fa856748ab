"""Prove that commit B computes what commit A computes, to the last bit: for changes that must not change a result.

Both commits draw the data, train tiny networks on A's drawing for a few dozen steps and validate them, each with its
own code and this Python interpreter. Compared are the loss of each step, the other numbers of the log, all tensors of
the checkpoints last.pt and best.pt, and the files that validations write, pictures included. Each commit is unpacked
into a temporary folder, which is removed at the end; the repository itself is only read.

What differs is told as 'value in A -> value in B'. A name that only B has, in the log or among the files, is listed but
is no difference; a name, tensor or file that B lacks is one. CPU B/A compares the processor time of the training
processes, start included: below 1, B needs less. It says little on a busy machine, and more with --repeats.

Exit code: 0 where all is equal, 1 where it is not or a command of a commit fails, 2 for wrong arguments.
Example: python benchmarks/compare_commits.py main worktree --paths 2d heatmap
"""

import argparse
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from compare_commits_plans import PLANS, RESUMED, UNINTERRUPTED
from compare_commits_results import Comparison, UnreadableError, compare_folders, compare_trainings
from compare_commits_runs import Checkout, RunFailedError, UnknownCommitError, unpack

DRAWING = "drawing"
PATHS = (DRAWING, *PLANS)
ASPECTS = ("losses", "weights", "metrics", "files")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("a", metavar="A", help="commit to compare with, such as a hash, a branch or HEAD~1")
    parser.add_argument("b", metavar="B", help="commit to judge; '.' or 'worktree': the files as they are now")
    parser.add_argument(
        "--paths",
        nargs="+",
        choices=PATHS,
        default=PATHS,
        metavar="PATH",
        help=f"any of {', '.join(PATHS)}; default: all",
    )
    parser.add_argument(
        "--repeats", type=int, default=1, metavar="N", help="trainings of each path; the fastest of each commit counts"
    )
    args = parser.parse_args()
    if args.repeats < 1:
        parser.error(f"--repeats: {args.repeats} is less than 1")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="compare_commits_") as name:
        try:
            a, b = (unpack(revision, side, Path(name)) for revision, side in ((args.a, "A"), (args.b, "B")))
        except UnknownCommitError as error:
            parser.error(str(error))
        rows = [_row(path, a, b, args.repeats) for path in PATHS if path in args.paths]
    print(f"A: {a.description}\nB: {b.description}\n\n{_table(rows)}\n")
    equal = all(row.equal for row in rows)
    print(f"{'All equal' if equal else 'NOT EQUAL'}, after {time.monotonic() - started:.0f} s.")
    return 0 if equal else 1


class Row:
    """What the runs of a path have shown: comparisons by aspect, processor seconds by commit, and what went wrong."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.found = dict.fromkeys(ASPECTS, Comparison())
        self.seconds: dict[str, list[float]] = {"A": [], "B": []}
        self.failure = ""

    @property
    def equal(self) -> bool:
        return not self.differences

    @property
    def differences(self) -> list[str]:
        """What went wrong, and the first difference of each aspect."""
        firsts = [f"{aspect}: {found.first}" for aspect, found in self.found.items() if found.first]
        return [self.failure, *firsts] if self.failure else firsts

    def add(self, **found: Comparison) -> None:
        for aspect, comparison in found.items():
            self.found[aspect] += comparison

    def cells(self) -> list[str]:
        found = (self.found[aspect] for aspect in ASPECTS)
        counts = [f"{x.differing} of {x.count} differ" if x.first else f"{x.count} equal" for x in found]
        shown = [text if text != "0 equal" else "–" for text in counts]
        a, b = self.seconds.values()
        speed = f"{min(b) / min(a):.3f}" if a and b else "–"
        return [self.path, *shown, speed, self.differences[0] if self.differences else "–"]


def _row(path: str, a: Checkout, b: Checkout, repeats: int) -> Row:
    print(f"{path} …", file=sys.stderr, flush=True)
    row = Row(path)
    try:
        data = a.draw()
        if path == DRAWING:
            row.add(files=compare_folders(data, b.draw()))
            return row
        for repeat in range(repeats):
            for side in (a, b):
                row.seconds[side.name].append(side.train(path, data, repeat))
            row.add(**compare_trainings(*(side.folder_of(path, repeat) for side in (a, b))))
        if PLANS[path].validations:
            with ThreadPoolExecutor() as together:  # no time is measured here
                row.add(files=compare_folders(*together.map(lambda side: side.validate(path), (a, b))))
        if path == RESUMED:
            for side in (a, b):
                if not side.folder_of(UNINTERRUPTED).exists():
                    side.train(UNINTERRUPTED, data)
                found = compare_trainings(side.folder_of(UNINTERRUPTED), side.folder_of(path))
                row.add(**{aspect: x.within(f"{side.name}, uninterrupted -> resumed") for aspect, x in found.items()})
    except (RunFailedError, UnreadableError) as error:
        row.failure = str(error)
    return row


def _table(rows: list[Row]) -> str:
    """A line for each row, and below what has no room there."""
    cells = [["path", *ASPECTS, "CPU B/A", "first difference"], *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in cells]
    more = [f"{row.path}: {difference}" for row in rows for difference in row.differences[1:]]
    new = sorted({name for row in rows for found in row.found.values() for name in found.new})
    if more:
        lines += ["", "Further differences, the first of each kind:", *more]
    if new:
        lines += ["", f"New in B, not compared: {', '.join(new)}"]
    return "\n".join(lines)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and so remove the folder, and end what runs in it
    sys.exit(main())
