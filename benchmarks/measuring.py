"""What all benchmarks share: rows, rounds, clocks, counters, the table. Both sides use it: nothing of rlepose here."""

import ctypes
import gc
import os
import statistics
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

LONG_ROUND_S, LONG_ROW_S = 10, 60  # a round this long warms itself up; a row this long ends after three rounds


@dataclass(frozen=True)
class Row:
    """One line, or a few, of the table: the same work done in several ways.

    sides: name -> function that does the work once and gives its cost in `unit`; the first is what others compare to.
    exact: the cost is a count and needs no second round.
    """

    name: str
    unit: str
    sides: dict[str, Callable[[], float]]
    exact: bool = False


@dataclass(frozen=True)
class Result:
    """The costs of each side of a row, one a round; round i of all sides ran together."""

    name: str
    unit: str
    costs: dict[str, list[float]]

    def gains(self, side: str) -> list[float]:
        """How many times less this side costs than the first, in each round."""
        first = next(iter(self.costs.values()))
        return [a / b if b else float("inf") for a, b in zip(first, self.costs[side], strict=True)]


def measure(row: Row, rounds: int) -> Result:
    """Run all sides in turn, once to warm up and then `rounds` times: A B, A B, A B. No rounds: the warm-up counts."""
    costs: dict[str, list[float]] = {side: [] for side in row.sides}
    started = time.perf_counter()
    warm_up = 0 if row.exact or not rounds else 1
    for number in range(1 if row.exact else rounds + 1):
        for side, work in row.sides.items():
            gc.collect()
            costs[side].append(work())
        passed = time.perf_counter() - started
        if number == 0 and passed > LONG_ROUND_S:
            warm_up = 0
        if number >= 2 + warm_up and passed > LONG_ROW_S:
            break
    return Result(row.name, row.unit, {side: values[warm_up:] for side, values in costs.items()})


def table(results: Sequence[Result]) -> str:
    """Markdown: a line for each side; gain is the median of the rounds' ratios to the row's first side."""
    lines = ["| what | unit | side | cost | gain | min … max |", "|---|---|---|---|---|---|"]
    for result in results:
        first = next(iter(result.costs))
        for side, costs in result.costs.items():
            gains = result.gains(side)
            alone = side == first
            gain = "" if alone else f"×{statistics.median(gains):.3g}"
            spread = "" if alone or len(gains) == 1 else f"{min(gains):.3g} … {max(gains):.3g}"
            name, unit = (result.name, result.unit) if alone else ("", "")
            lines.append(f"| {name} | {unit} | {side} | {statistics.median(costs):.4g} | {gain} | {spread} |")
    return "\n".join(lines)


def cpu_seconds(work: Callable[[], Any]) -> float:
    """Processor time of this process, all threads: what others do on the machine counts little."""
    started = time.process_time()
    work()
    return time.process_time() - started


@contextmanager
def stopwatch(owner: Any, *names: str) -> Iterator[list[float]]:
    """Within the block, these functions of a module note their processor seconds, call by call, in the list."""
    seconds: list[float] = []
    originals = {name: getattr(owner, name) for name in names}

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            started = time.process_time()
            result = function(*args, **kwargs)
            seconds.append(time.process_time() - started)
            return result

        return call

    for name, function in originals.items():
        setattr(owner, name, timed(function))
    try:
        yield seconds
    finally:
        for name, function in originals.items():
            setattr(owner, name, function)


class OperatorCount(TorchDispatchMode):
    """Counts the operators that compute: each is a kernel launch on a GPU. Views and new memory cost none."""

    free = frozenset(("_unsafe_view", "empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"))

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        aliases = [value.alias_info for value in func._schema.returns if value.alias_info is not None]
        is_view = any(not alias.is_write for alias in aliases)
        if not is_view and func.overloadpacket.__name__ not in self.free:
            self.count += 1
        return func(*args, **(kwargs or {}))


def operators(forward: Callable[[], Tensor]) -> tuple[int, int]:
    """Operators of a loss and of its backward pass."""
    with OperatorCount() as ahead:
        loss = forward()
    with OperatorCount() as back:
        loss.backward()
    return ahead.count, back.count


def own_memory_mib() -> float:
    """Memory that this process has for itself and the system cannot take back (private, dirty pages); Linux only.

    Clean pages of a mapped file do not count: they are the file's cache, whoever has touched them.
    """
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty")) / 1024


def growth_mib(work: Callable[[], Any]) -> float:
    """By how much this process's own memory grows through `work`, whose result is kept until then."""
    trim = ctypes.CDLL(None).malloc_trim  # gives back what was only needed in passing
    trim(0)
    before = own_memory_mib()
    result = work()
    gc.collect()
    trim(0)
    grown = own_memory_mib() - before
    del result
    return grown


def in_a_fork(work: Callable[[], float]) -> float:
    """The value of `work` in a forked child, such as a loader's worker: it shares the parent's memory until a write."""
    reader, writer = os.pipe()
    gc.freeze()  # the child's garbage collector would write to every object that there is
    child = os.fork()
    if not child:
        try:
            os.write(writer, struct.pack("d", work()))
        finally:
            os._exit(0)
    gc.unfreeze()
    os.close(writer)
    answer = os.read(reader, 8)
    os.close(reader)
    os.waitpid(child, 0)
    if len(answer) < 8:
        raise RuntimeError("the forked child failed; see above")
    return float(struct.unpack("d", answer)[0])
