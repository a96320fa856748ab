"""A suite: a YAML file of rows, each a config to train with every seed."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlepose.comparison.published import published_row
from rlepose.config.config import Config
from rlepose.config.reading import load_config, read_yaml, with_overrides
from rlepose.errors import InputError
from rlepose.paths import expanded
from rlepose.runtime.experiment import Experiment

_SUITE_KEYS = ("runs_in", "seeds", "calibration", "set", "validate_set", "columns", "rows")
_ROW_KEYS = ("name", "cfg", "set", "validate_set", "calibration", "after", "published")

AFTER = "{after}"  # placeholder in options for the best checkpoint of the `after` row


@dataclass(frozen=True)
class Row:
    """One row of the table.

    calibration: whether to evaluate its uncertainty.
    overrides, validate_overrides: its own, in addition to the suite's.
    after: name of an earlier row to train first; `{after}` in `overrides` is its best checkpoint.
    published: the published metrics, or ''.
    """

    name: str
    cfg: Path
    overrides: tuple[str, ...]
    validate_overrides: tuple[str, ...]
    calibration: bool
    after: str | None
    published: str


@dataclass(frozen=True)
class Run:
    """One training: a row with a seed, in its own folder.

    validation: config of its last validation, which gives its metrics.
    """

    row: Row
    seed: int
    config: Config
    validation: Config

    @property
    def name(self) -> str:
        """Name of its folder."""
        return self.config.name

    @property
    def experiment(self) -> Experiment:
        return Experiment.of(self.config)


@dataclass(frozen=True)
class Suite:
    """A comparison.

    runs_in: folder of the runs' folders, which suites may share. out: folder of the tables.
    common, overrides: options of all rows, before and after a row's own.
    validate_overrides: options of all rows that only apply to the last validation.
    columns: metrics in the table, in this order; None for the default ones.
    """

    path: Path
    runs_in: Path
    out: Path
    rows: tuple[Row, ...]
    seeds: tuple[int, ...]
    common: tuple[str, ...]
    overrides: tuple[str, ...]
    validate_overrides: tuple[str, ...]
    columns: tuple[str, ...] | None

    @property
    def name(self) -> str:
        """Name of the file without its suffix."""
        return self.path.stem

    def arguments(self, row: Row, seed: int) -> list[str]:
        """Return a run's overrides of its row's config, as `key=value`. InputError for `{after}` without `after`."""
        given: Sequence[str] = (*self.common, *row.overrides, *self.overrides)
        start = self.start(row, seed)
        if start is not None:
            given = [text.replace(AFTER, start) for text in given]
        elif any(AFTER in text for text in given):
            raise InputError(f"{self.path}: row {row.name}: {{after}} needs `after: ROW`, the row to start from")
        return [*given, f"train.seed={seed}", f"name={run_name(row.name, seed)}", f"output_dir={self.runs_in}"]

    def validate_arguments(self, row: Row) -> list[str]:
        """Return the overrides in the last validation of a row's runs, as `key=value`."""
        return [*self.validate_overrides, *row.validate_overrides]

    def start(self, row: Row, seed: int) -> str | None:
        """Return the path of the checkpoint that replaces `{after}`."""
        return str(self.runs_in / run_name(row.after, seed) / "checkpoints" / "best.pt") if row.after else None

    def run(self, row: Row, seed: int) -> Run:
        """Return a row's run with a seed; InputError for errors in the row's config."""
        config = load_config(row.cfg, self.arguments(row, seed))
        return Run(row, seed, config, with_overrides(config, self.validate_arguments(row)))

    def earlier(self, run: Run) -> Run | None:
        """Return the run that a run starts from, or None."""
        return next((self.run(row, run.seed) for row in self.rows if row.name == run.row.after), None)

    def runs(self, rows: Sequence[str] | None = None) -> list[Run]:
        """Return all runs, or the runs of some rows and the rows they start from; the first seed of every row first.

        Raises InputError for an unknown row and for errors in a row's config.
        """
        chosen = self.rows if rows is None else self._with_what_they_start_from(rows)
        return [self.run(row, seed) for seed in self.seeds for row in chosen]

    def _with_what_they_start_from(self, names: Sequence[str]) -> list[Row]:
        known = {row.name: row for row in self.rows}
        wanted: set[str] = set()
        for name in names:
            if name not in known:
                raise InputError(f"{self.path}: no row {name}; choose from {', '.join(known)}")
            row: Row | None = known[name]
            while row is not None:
                wanted.add(row.name)
                row = known[row.after] if row.after else None
        return [row for row in self.rows if row.name in wanted]


def load_suite(
    path: str | Path, out: str | Path | None = None, seeds: Sequence[int] | None = None, overrides: Sequence[str] = ()
) -> Suite:
    """Read a suite file. `set` of the suite, then of a row, then `overrides` apply.

    `cfg` and `published` are relative to the file; `runs_in` and paths in options to the working directory. In all of
    them, `~` and `$NAME` are replaced.

        runs_in: exp/lspet64                  # default: the folder of the tables
        seeds: [0, 1, 2]                      # default [0]; the argument `seeds` replaces them
        calibration: true                     # default false: `rlepose validate --calibration`; rows may differ
        set: [train.epochs=20]                # for all rows, as on the command line
        validate_set: [data.val_annotations=annotations/val.json]  # only for the last validation; rows may add more
        columns: [gt/AP, gt/PCK@0.2, gt/NLL]  # of the table; default: common metrics, if available
        rows:
          - {name: l1, cfg: ../lspet64_l1.yaml}
          - {cfg: ../lspet64_rle.yaml, set: [loss.flow.depth=4], published: ../../docs/published.md#val-rle}

    out: for tables and runs; default exp/<the file's name>, and the suite's `runs_in` for the runs. Raises InputError
    for any error in the file.
    """
    path = Path(path)
    tree = read_yaml(path)
    _check_keys(path, "", tree, _SUITE_KEYS)
    calibration = _flag(path, "", tree, False)
    entries = tree.get("rows")
    if not isinstance(entries, list) or not entries:
        raise InputError(f"{path}: rows: expected a list of {{name, cfg, set}}, got {entries!r}")
    rows: dict[str, Row] = {}
    for number, entry in enumerate(entries, 1):
        row = _row(path, f"row {number}: ", entry, calibration)
        if row.name in rows:
            raise InputError(f"{path}: row {number}: the name {row.name} appears twice; rename one of them")
        if row.after is not None and row.after not in rows:
            raise InputError(f"{path}: row {number}: after: no earlier row {row.after}; choose from {', '.join(rows)}")
        rows[row.name] = row
    chosen = tree.get("seeds", [0]) if seeds is None else list(seeds)
    if not isinstance(chosen, list) or not chosen or not all(type(seed) is int and seed >= 0 for seed in chosen):
        raise InputError(f"{path}: seeds: expected a list of whole numbers, got {chosen!r}")
    tables = default_out(path) if out is None else Path(out)
    runs_in = tree.get("runs_in", str(tables))
    if not isinstance(runs_in, str):
        raise InputError(f"{path}: runs_in: expected the path of a folder, got {runs_in!r}")
    return Suite(
        path=path,
        runs_in=Path(expanded(runs_in, source=f"{path}: runs_in")) if out is None else tables,
        out=tables,
        rows=tuple(rows.values()),
        seeds=tuple(dict.fromkeys(chosen)),
        common=_texts(path, "", tree, "set"),
        overrides=tuple(overrides),
        validate_overrides=_texts(path, "", tree, "validate_set"),
        columns=_texts(path, "", tree, "columns", "[gt/AP, gt/NLL]") if "columns" in tree else None,
    )


def default_out(path: Path) -> Path:
    """Return the default folder of a suite's tables."""
    return Path("exp") / path.stem


def _row(path: Path, where: str, entry: Any, calibration: bool) -> Row:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("cfg"), str):
        raise InputError(f"{path}: {where}expected {{name: NAME, cfg: FILE}}, got {entry!r}")
    _check_keys(path, where, entry, _ROW_KEYS)
    for key in ("name", "after", "published"):
        if not isinstance(entry.get(key, ""), str):
            raise InputError(f"{path}: {where}{key}: expected text, got {entry[key]!r}")
    cfg = Path(os.path.normpath(path.parent / expanded(entry["cfg"], path.parent, f"{path}: {where}cfg")))
    link = entry.get("published")
    return Row(
        name=entry.get("name", cfg.stem),
        cfg=cfg,
        overrides=_texts(path, where, entry, "set"),
        validate_overrides=_texts(path, where, entry, "validate_set"),
        calibration=_flag(path, where, entry, calibration),
        after=entry.get("after"),
        published="" if link is None else published_row(path.parent, link),
    )


def run_name(row: str, seed: int) -> str:
    """Return the folder name of a row's run with a seed."""
    return f"{row}_seed{seed}"


def _check_keys(path: Path, where: str, tree: Mapping[str, Any], known: Sequence[str]) -> None:
    unknown = [str(key) for key in tree if key not in known]
    if unknown:
        raise InputError(f"{path}: {where}{unknown[0]}: no such key; expected one of {', '.join(known)}")


def _flag(path: Path, where: str, tree: Mapping[str, Any], default: bool) -> bool:
    value = tree.get("calibration", default)
    if not isinstance(value, bool):
        raise InputError(f"{path}: {where}calibration: expected true or false, got {value!r}")
    return value


def _texts(
    path: Path, where: str, tree: Mapping[str, Any], key: str, example: str = "[train.epochs=20]"
) -> tuple[str, ...]:
    value = tree.get(key, [])
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise InputError(f"{path}: {where}{key}: expected a list like {example}, got {value!r}")
    return tuple(value)
