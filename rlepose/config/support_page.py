"""docs/support.md: the table of supported combinations, generated so that the page is never out of date."""

from rlepose.config.support import SUPPORT

COMMAND = "python scripts/list_options.py"


def support_page() -> str:
    """Return the page in Markdown."""
    rows = [
        [
            row.task,
            row.head or "–",
            ", ".join(row.losses),
            " and ".join(f"{dims}-D" for dims in row.dims),
            ", ".join(row.exports) or "–",
        ]
        for row in SUPPORT
    ]
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in rows)
    return (
        "# Supported combinations\n\n"
        f"Generated from [support.py](../rlepose/config/support.py) by `{COMMAND}`; edit that file, not this page.\n\n"
        "`model.name` selects the task, `model.head.name` the head, `loss.name` the loss, and `data.format` the "
        "dimensions: coco is 2-D, h36m 3-D. Any other combination is rejected at once, with a message that names the "
        "option to change. `tests/config/test_support.py` takes a training step with every supported combination and "
        "checks the message of every other one.\n\n"
        "| task | head | losses | dimensions | exports |\n|---|---|---|---|---|\n"
        f"{table}\n\n"
        "The flip test, calibration, recalibration, reports and the moving average of weights work with every row, "
        "except that `basic` has no density to calibrate; NME works with every 2-D row. int8 only works with onnx, and "
        "lifting only with float32.\n"
    )
