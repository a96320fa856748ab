"""The plot of a comparison."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # matplotlib takes half a second to import
    from matplotlib.figure import Figure

Curve = Sequence[tuple[int, float]]  # (training persons seen, AP or MPJPE)


def curves_figure(curves: Mapping[str, Sequence[Curve]], metric: str) -> "Figure":
    """Plot a metric against training persons: one colour per row, one line per seed."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5))
    axes = figure.subplots()
    colors = colormaps["tab10" if len(curves) <= 10 else "tab20"]
    for number, (row, of_seeds) in enumerate(curves.items()):
        for seed, curve in enumerate(of_seeds):
            persons, values = zip(*curve, strict=True) if curve else ((), ())
            label = row if seed == 0 else None
            axes.plot(persons, values, marker=".", linewidth=1, color=colors(number % colors.N), label=label)
    axes.set(xlabel="training persons", ylabel=metric, xlim=(0, None), ylim=(0, None))
    if curves:
        axes.legend(loc="upper left", bbox_to_anchor=(1.02, 1), frameon=False)
    return figure
