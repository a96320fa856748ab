"""The supported combinations of tasks, heads, losses, dimensions and exports, in one table.

Any other combination is rejected with an error message. docs/support.md shows the table, and
tests/config/test_support.py goes through it. A new head, loss or task adds rows.
"""

from typing import NamedTuple

_FORMATS = ("onnx", "torchscript", "torch_export")
_SIMPLE = ("l1", "l2", "gaussian", "laplace", "dle", "rle")


class Support(NamedTuple):
    """Each of these losses can train this head of this task in each of these numbers of dimensions.

    task: `model.name`. head: `model.head.name`, None for a task without heads. losses: `loss.name`. dims: coordinates
    per joint. exports: formats of `rlepose export` that support the network.
    """

    task: str
    head: str | None
    losses: tuple[str, ...]
    dims: tuple[int, ...]
    exports: tuple[str, ...]


SUPPORT = (
    Support("top_down", "regression", _SIMPLE, (2, 3), _FORMATS),
    Support("top_down", "regression", ("basic",), (2,), ()),
    Support("top_down", "integral", _SIMPLE, (2, 3), _FORMATS),
    Support("top_down", "integral", ("basic",), (2,), ()),
    Support("top_down", "heatmap", ("heatmap_mse",), (2,), _FORMATS),
    Support("lifting", None, _SIMPLE, (3,), _FORMATS),
)


def refusal(task: str, head: str | None, loss: str, dims: int) -> tuple[str, str] | None:
    """Return why a combination is not supported: (dotted name of an option, problem and fix); None if it is.

    >>> refusal("top_down", "regression", "rle", 2)
    >>> refusal("top_down", "heatmap", "rle", 2)[0]
    'model.head.name'
    """
    losses = [row for row in SUPPORT if (row.task, row.head) == (task, head)]
    rows = [row for row in losses if loss in row.losses]
    if any(dims in row.dims for row in rows):
        return None
    if rows:
        return _wrong_dimensions(task, head, loss, dims)
    can = ", ".join(name for row in losses for name in row.losses)
    if head is None:
        return "loss.name", f"{task} cannot be trained with the loss {loss}; use one of {can}"
    return (
        "model.head.name",
        f"the head {head} cannot be trained with the loss {loss}, only with {can}; use another loss or head",
    )


def _wrong_dimensions(task: str, head: str | None, loss: str, dims: int) -> tuple[str, str]:
    if task == "lifting":
        return "data.format", "lifting needs 3-D labels; set data.format=h36m"
    if head == "heatmap":
        return "model.head.name", "heatmap predicts no depth; set model.head.name=integral or regression"
    return (
        "loss.name",
        f"{loss} predicts with one flow, but in {dims}-D, persons without depth need a second one; use another loss",
    )


def exports_of(task: str, head: str | None, loss: str, dims: int) -> tuple[str, ...]:
    """Return the formats in which such a network can be exported; may be empty."""
    for row in SUPPORT:
        if (row.task, row.head) == (task, head) and loss in row.losses and dims in row.dims:
            return row.exports
    return ()
