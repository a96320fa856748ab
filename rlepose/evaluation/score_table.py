"""What a joint's score is worth: how far joints of such a score were from their labels."""

import itertools
from typing import Any

import numpy as np

from rlepose.pose.geometry import Floats

EDGES = (0.0, 0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0)
NEAR = 0.1  # of the root of the person's area


def score_table(scores: Floats, relative_error: Floats) -> list[dict[str, Any]]:
    """A row for each range of scores in which there are joints, from the lowest.

    scores, relative_error (M,): of M labelled joints; the error in units of √area of their persons.
    Each row has `from` and `below` (the range), `joints` (how many), `median_error`, and `near`: the share of those
    that lie within NEAR of their label.

    >>> score_table(np.array([0.2, 0.96, 0.99]), np.array([0.5, 0.01, 0.03]))[1]
    {'from': 0.95, 'below': 1.0, 'joints': 2, 'median_error': 0.02, 'near': 1.0}
    """
    rows = []
    row_of = np.clip(np.digitize(scores, EDGES) - 1, 0, len(EDGES) - 2)
    for row, (low, high) in enumerate(itertools.pairwise(EDGES)):
        errors = relative_error[row_of == row]
        if len(errors):
            median, near = float(np.median(errors)), float((errors <= NEAR).mean())
            rows.append({"from": low, "below": high, "joints": len(errors), "median_error": median, "near": near})
    return rows


def format_score_table(rows: list[dict[str, Any]]) -> str:
    """The rows, a line each."""
    lines = [f"score           joints   median error, % of √area   within {NEAR:.0%}"]
    for row in rows:
        numbers = f"{row['joints']:>10}{100 * row['median_error']:>27.1f}{row['near']:>13.0%}"
        lines.append(f"{row['from']:.2f} to {row['below']:.2f}{numbers}")
    return "\n".join(lines)
