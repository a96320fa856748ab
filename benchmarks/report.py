"""From a JSON file of run.py to what it means: which goals are met, and what a GPU needs to be fed."""

import argparse
import json
import statistics
from dataclasses import dataclass
from pathlib import Path

from measuring import Result, table

from rlepose.errors import run_script


@dataclass(frozen=True)
class Goal:
    """What a row has to reach: a gain over its first side of at least, or a cost of at most, `bound`."""

    text: str
    row: str  # how the row's name begins
    bound: float
    side: str = "ours"
    of: str = "gain"


GOALS = (
    Goal("item from files ≥ ×1.6", "training item", 1.6),
    Goal("item from the JPEG cache ≥ ×6", "training item", 6, side="ours, jpeg cache"),
    Goal("item from the raw cache ≥ ×10", "training item", 10, side="ours, raw cache"),
    Goal("detected boxes ≥ ×6", "detected box", 6),
    Goal("one decode a picture", "decodes of a picture", 1, of="cost"),
    Goal("flow + loss ≤ 100 operators forward", "flow + loss, forward", 100, of="cost"),
    Goal("flow + loss ≤ 120 operators backward", "flow + loss, backward", 120, of="cost"),
    Goal("flow + loss ≥ ×1.2 at batch 32", "flow + loss, batch 32", 1.2),
    Goal("flow + loss ≥ ×1.2 at batch 256", "flow + loss, batch 256", 1.2),
    Goal("CPU training ≥ ×2", "training step, ResNet-50", 2),
    Goal("whole evaluation ≥ ×15", "whole evaluation", 15),
    Goal("inference at batch 1, float32 ≥ ×1.5", "inference, ResNet-50, batch 1,", 1.5, side="onnxruntime, float32"),
    Goal("inference at batch 1, int8 ≥ ×4.5", "inference, ResNet-50, batch 1,", 4.5, side="onnxruntime, int8"),
    Goal("imports ≤ 0.3 s beyond torch", "import all that training needs", 0.3, of="cost"),
    Goal("start with COCO-size annotations ≤ 2 s", "annotations of 149,813 persons: start", 2, of="cost"),
    Goal("a worker's own memory ≤ 10 MiB", "annotations of 149,813 persons: a worker", 10, of="cost"),
)

# Not measured here: published figures, and the sizes of COCO and of ResNet-50 with its two heads for 17 joints.
PERSONS_A_SECOND_AND_GPU = 3000
CROP_KB, HEATMAPS_KB = 256 * 192 * 3 / 1000, 17 * 64 * 48 * 4 / 1000
GRADIENT_MB = (23.51e6 + 2 * 17 * 2 * 2049) * 4 / 1e6
PERSONS_A_STEP_AND_GPU = 32
TRAIN_PERSONS, EPOCHS = 149_813, 270


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+", help="what run.py --json wrote, in one file or in several")
    args = parser.parse_args()
    results = [Result(**row) for file in args.files for row in json.loads(file.read_text())["rows"]]
    print(table(results))
    print(f"\n{goal_table(results)}\n\n{cost_table(results)}\n\n{scaling_table()}")


def goal_table(results: list[Result]) -> str:
    """Each goal beside the median of what was measured."""
    lines = ["| goal | measured | met |", "|---|---|---|"]
    for goal in GOALS:
        values = []
        for result in results:
            if not values and result.name.startswith(goal.row) and goal.side in result.costs:
                gains = result.gains(goal.side) if len(result.costs) > 1 else []
                values = result.costs[goal.side] if goal.of == "cost" else gains
        if not values:
            lines.append(f"| {goal.text} | – | not measured |")
            continue
        value = statistics.median(values)
        met = value <= goal.bound if goal.of == "cost" else value >= goal.bound
        lines.append(f"| {goal.text} | {'' if goal.of == 'cost' else '×'}{value:.3g} | {'yes' if met else 'no'} |")
    return "\n".join(lines)


def cost_table(results: list[Result]) -> str:
    """Cores, disk and bus for one GPU, by what a loader's worker was measured to need for an item."""
    lines = ["| items from | ms of a core | items/s a core | cores a GPU | disk, MB/s a GPU | to the GPU, MB/s |"]
    lines.append("|---|---|---|---|---|---|")
    rate = PERSONS_A_SECOND_AND_GPU
    stored = next((result.costs for result in results if result.name == "stored for a person"), {})
    for result in results:
        if not result.name.startswith("training item, collated"):
            continue
        for side, costs in result.costs.items():
            cost = statistics.median(costs)
            # The authors' loader sends float32 pixels, and heatmaps that regression does not use.
            item_kb = 4 * CROP_KB + HEATMAPS_KB if side == "authors" else CROP_KB
            disk_kb = stored.get("ours" if side == "authors" else side, [float("nan")])[0]
            values = (cost, 1000 / cost, rate * cost / 1000, rate * disk_kb / 1000, rate * item_kb / 1000)
            lines.append("| {} | {:.2f} | {:.0f} | {:.1f} | {:.0f} | {:.0f} |".format(side, *values))
    return "\n".join(lines)


def scaling_table() -> str:
    """Hours of a COCO training and the network that its all-reduce needs, by the model in docs/performance.md."""
    lines = ["| GPUs | global batch | hours | sent by a GPU a step, MB | GB/s to hide it |", "|---|---|---|---|---|"]
    step_s = PERSONS_A_STEP_AND_GPU / PERSONS_A_SECOND_AND_GPU
    for gpus in (1, 2, 4, 8, 16, 32, 64):
        hours = TRAIN_PERSONS * EPOCHS / (gpus * PERSONS_A_SECOND_AND_GPU) / 3600
        sent = 2 * (gpus - 1) / gpus * GRADIENT_MB
        # The backward pass is about two thirds of a step; its gradients leave while it goes on.
        needed = sent / 1000 / (step_s * 2 / 3)
        lines.append(f"| {gpus} | {gpus * PERSONS_A_STEP_AND_GPU} | {hours:.2f} | {sent:.0f} | {needed:.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    run_script(main)
