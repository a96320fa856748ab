"""What goes together: tasks, heads, losses, dimensions and exports, in one table.

What is in no row is refused with a sentence. docs/support.md shows the table, and tests/config/test_support.py walks
it. A new head, loss or task adds rows.
"""

from typing import NamedTuple

_FORMATS = ("onnx", "torchscript", "torch_export")
_SIMPLE = ("l1", "l2", "gaussian", "laplace", "dle", "rle")


class Support(NamedTuple):
    """Each of the losses trains this head of this task in each number of dimensions.

    task: `model.name`. head: `model.head.name`, None where there are no heads to choose from. losses: `loss.name`.
    dims: coordinates of a joint. exports: formats of `rlepose export` that the trained network can be written in.
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
    """Why a network cannot be trained so: (dotted name of an option, what is wrong and how to fix it); None if it can.

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
        return "loss.name", f"{task} cannot learn by the loss {loss}; take one of {can}"
    return (
        "model.head.name",
        f"the head {head} cannot learn by the loss {loss}, but by {can}; take one of these, or another head",
    )


def _wrong_dimensions(task: str, head: str | None, loss: str, dims: int) -> tuple[str, str]:
    if task == "lifting":
        return "data.format", "lifting learns from labels in space, which data.format=h36m has; set it"
    if head == "heatmap":
        return "model.head.name", "heatmap gives no depth; set model.head.name=integral or regression"
    return (
        "loss.name",
        f"{loss} predicts through one flow, but in {dims}-D persons without depth need another; take another loss",
    )


def exports_of(task: str, head: str | None, loss: str, dims: int) -> tuple[str, ...]:
    """Formats that such a network can be exported in; () where there are none."""
    for row in SUPPORT:
        if (row.task, row.head) == (task, head) and loss in row.losses and dims in row.dims:
            return row.exports
    return ()
