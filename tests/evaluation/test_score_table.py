"""What a score is worth, from scores and errors."""

import numpy as np
import pytest

from rlepose.evaluation.score_table import EDGES, format_score_table, score_table


def test_each_joint_is_in_the_row_of_its_score() -> None:
    rng = np.random.default_rng(0)
    scores, errors = rng.random(500), rng.random(500) / 4
    rows = score_table(scores, errors)
    assert sum(row["joints"] for row in rows) == 500
    for row in rows:
        inside = errors[(scores >= row["from"]) & (scores < row["below"])]
        assert row["joints"] == len(inside)
        assert row["median_error"] == pytest.approx(np.median(inside))
        assert row["near"] == pytest.approx(np.mean(inside <= 0.1))


def test_the_ends_are_in_the_table_and_empty_rows_are_not() -> None:
    rows = score_table(np.array([0.0, 1.0]), np.array([0.5, 0.0]))
    assert [(row["from"], row["below"]) for row in rows] == [EDGES[:2], EDGES[-2:]]
    assert len(format_score_table(rows).splitlines()) == 3


def test_no_joints_make_no_rows() -> None:
    assert score_table(np.zeros(0), np.zeros(0)) == []
