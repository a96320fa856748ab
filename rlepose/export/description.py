"""The description inside an exported file: everything needed to make crops for it and to interpret its outputs."""

import json
from dataclasses import dataclass

import rlepose
from rlepose.errors import InputError
from rlepose.evaluation.recalibration import Recalibration
from rlepose.export.choices import Precision
from rlepose.pose.skeleton import Skeleton

KEY = "rlepose"  # key of the JSON in the metadata


@dataclass(frozen=True)
class Description:
    """How to use an exported network.

    skeleton:        its joints.
    input_size_hw:   size of its crops, px.
    box_scale:       size of a crop relative to the person's box.
    outputs:         names of the outputs: mu, sigma and score; mu and score for heatmaps; or only mu.
    precision:       of the backbone; inputs and outputs are the same for all.
    loss:            name of the training loss.
    residual_spread: K × D factors: the label's standard deviation is sigma times this, after recalibration.
    recalibration:   the correction of sigma, NOT applied to the file's sigma, or None.
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
        """Return the text for the file's metadata, including left/right pairs for readers without this package."""
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
        """Parse the output of `to_json`; an InputError names `source` if it is something else."""
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
            raise InputError(
                f"{source}: no description in the metadata; write the file with `rlepose export`"
            ) from error
