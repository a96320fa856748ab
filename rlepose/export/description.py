"""What an exported file says of itself: all that is needed to cut crops for it and to read what it gives."""

import json
from dataclasses import dataclass

import rlepose
from rlepose.errors import InputError
from rlepose.evaluation.recalibration import Recalibration
from rlepose.export.choices import Precision
from rlepose.pose.skeleton import Skeleton

KEY = "rlepose"  # the metadata's entry that holds the JSON


@dataclass(frozen=True)
class Description:
    """How to use an exported network.

    skeleton:        its joints.
    input_size_hw:   size of the crops that it takes, pixels.
    box_scale:       how much larger than the person's box a crop is.
    outputs:         names of what it gives: mu, sigma and score; mu and score of heatmaps; or mu alone.
    precision:       of the backbone; inputs and outputs are the same in all.
    loss:            what it was trained with.
    residual_spread: K times D factors: the label's standard deviation is sigma times this, after recalibration.
    recalibration:   the correction of sigma that the file's own sigma does NOT contain, or None.
    """

    skeleton: Skeleton
    input_size_hw: tuple[int, int]
    box_scale: float
    outputs: tuple[str, ...]
    precision: Precision
    loss: str
    residual_spread: tuple[tuple[float, ...], ...]
    recalibration: Recalibration | None = None

    def to_json(self) -> str:
        """The text that the file's metadata holds. Left/right pairs are written for readers without this package."""
        return json.dumps(
            {
                "version": rlepose.__version__,
                "joints": list(self.skeleton.names),
                "flip_pairs": self.skeleton.flip_pairs,
                "bones": self.skeleton.bones,
                "oks_sigmas": self.skeleton.oks_sigmas,
                "input_size_hw": self.input_size_hw,
                "box_scale": self.box_scale,
                "outputs": self.outputs,
                "precision": self.precision,
                "loss": self.loss,
                "residual_spread": self.residual_spread,
                "recalibration": None if self.recalibration is None else self.recalibration.to_dict(),
            }
        )

    @classmethod
    def from_json(cls, text: str | None, source: object) -> "Description":
        """What `to_json` gave; InputError names `source` where it is something else."""
        try:
            tree = json.loads(text or "null")
            height, width = tree["input_size_hw"]
            return cls(
                skeleton=Skeleton.from_dict({**tree, "names": tree["joints"]}),
                input_size_hw=(height, width),
                box_scale=tree["box_scale"],
                outputs=tuple(tree["outputs"]),
                precision=tree["precision"],
                loss=tree["loss"],
                residual_spread=tuple(tuple(row) for row in tree["residual_spread"]),
                recalibration=Recalibration.from_dict(tree["recalibration"]) if tree["recalibration"] else None,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{source}: no description in its metadata; write it with scripts/export.py") from error
