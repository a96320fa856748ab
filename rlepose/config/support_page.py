"""docs/support.md: the table of what goes together, generated so that the page cannot fall behind."""

from rlepose.config.support import SUPPORT

COMMAND = "python scripts/list_options.py"


def support_page() -> str:
    """The page, in Markdown."""
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
        "# What goes together\n\n"
        f"Generated from [support.py](../rlepose/config/support.py) by `{COMMAND}`; edit that file, not this page.\n\n"
        "A task is chosen by `model.name`, a head by `model.head.name`, a loss by `loss.name`, and dimensions by "
        "`data.format`: coco is 2-D, h36m 3-D. What stands in no row is refused before anything else is done, with a "
        "sentence that says what to change. `tests/config/test_support.py` takes a step with every supported "
        "combination, and asks for every other.\n\n"
        "| task | head | losses | dimensions | exports |\n|---|---|---|---|---|\n"
        f"{table}\n\n"
        "Flip test, recalibration, calibration, a report and the moving average of weights go with every row; NME with "
        "all in 2-D. `basic` has no density to calibrate. int8 goes with onnx alone, and neither int8 nor float16 with "
        "lifting.\n"
    )
