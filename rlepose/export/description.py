"""The description inside an exported file: everything needed to make its inputs and to interpret its outputs."""

import json
from dataclasses import asdict, dataclass
from typing import ClassVar

import rlepose
from rlepose.errors import InputError
from rlepose.evaluation.recalibration import Recalibration
from rlepose.export.choices import Precision
from rlepose.pose.skeleton import Skeleton

KEY = "rlepose"  # key of the JSON in the metadata
_LIFTING = "lifting"


@dataclass(frozen=True)
class Description:
    """How to use an exported network that reads crops.

    skeleton:        its joints.
    input_size_hw:   size of its crops, px.
    box_scale:       size of a crop relative to the person's box.
    outputs:         names of the outputs: mu, sigma and score; mu and score for heatmaps; or only mu.
    precision:       of the backbone; inputs and outputs are the same for all.
    loss:            name of the training loss.
    residual_spread: K × D factors: the label's standard deviation is sigma times this, after recalibration.
    recalibration:   the correction of sigma, NOT applied to the file's sigma, or None.
    """

    input_name: ClassVar[str] = "image"
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


@dataclass(frozen=True)
class LiftingDescription:
    """How to use an exported network that lifts 2-D poses.

    joints:     names of the 17 input and output joints. root: name of the joint that the others are relative to.
    flip_pairs: indices of the left and right joints.
    outputs:    names of the outputs: joints_mm and std_mm, or only joints_mm.
    loss:       loss of the training.
    flip_test:  whether the outputs are averages with the outputs for the mirrored pose.
    """

    input_name: ClassVar[str] = "keypoints"
    joints: tuple[str, ...]
    root: str
    flip_pairs: tuple[tuple[int, int], ...]
    outputs: tuple[str, ...]
    loss: str
    flip_test: bool

    def to_json(self) -> str:
        """Return the text for the file's metadata."""
        return json.dumps({"version": rlepose.__version__, "task": _LIFTING, **asdict(self)})


def read_description(text: str | None, source: object) -> Description | LiftingDescription:
    """Parse the output of `to_json` of either class; on failure, raise InputError naming `source`."""
    try:
        tree = json.loads(text or "null")
        if not isinstance(tree, dict) or tree.get("task") != _LIFTING:
            return Description.from_json(text, source)
        return LiftingDescription(
            joints=tuple(tree["joints"]),
            root=tree["root"],
            flip_pairs=tuple((left, right) for left, right in tree["flip_pairs"]),
            outputs=tuple(tree["outputs"]),
            loss=tree["loss"],
            flip_test=tree["flip_test"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{source}: no description in the metadata; write the file with `rlepose export`") from error
