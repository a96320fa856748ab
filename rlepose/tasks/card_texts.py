"""Texts of model cards for each task: how to use a network, and the limits of its metrics."""

from typing import NamedTuple

from rlepose.config.config import Config
from rlepose.losses import LOSSES
from rlepose.models.options import LiftingModelConfig
from rlepose.pose.codec import DEPTH_UNIT_MM
from rlepose.pose.skeleton import Skeleton


class CardTexts(NamedTuple):
    """network: input, output and type of the network. judged: data and protocol of its metrics.

    inputs, outputs, about_sigma: shapes, units, and the meaning of sigma. limits: one or two sentences each. use:
    Python code.
    """

    network: str
    judged: str
    inputs: str
    outputs: str
    about_sigma: str
    limits: list[str]
    use: list[str]


def card_texts(config: Config, skeleton: Skeleton) -> CardTexts:
    """Return the texts for a config's task."""
    return _lifting(config) if isinstance(config.model, LiftingModelConfig) else _top_down(config, skeleton)


def _about_sigma(config: Config, shape: str) -> str:
    loss = LOSSES[config.loss.name]
    if not loss.needs_sigma:
        return f"No sigma: the loss {config.loss.name} does not learn one."
    return (
        f"`sigma` {shape}, in the same unit: {loss.about_sigma}. It is not a variance, and it may be too small on "
        "data that differ from the training data."
    )


def _top_down(config: Config, skeleton: Skeleton) -> CardTexts:
    data, model = config.data, config.top_down
    height, width = data.input_size_hw
    return CardTexts(
        network=f"{config.dims}-D pose of one person in a crop: {len(skeleton)} joints, backbone "
        f"{model.backbone.name}, head {model.head.name}",
        judged="On the validation persons, in their annotated boxes (`gt`; detected boxes give lower accuracy)"
        + (", with flip test." if config.eval.flip_test else ", without flip test."),
        inputs=f"RGB 0 … 255 (B, 3, {height}, {width}), normalised inside. A crop is a person's box, extended to the "
        f"aspect ratio {width}:{height} around its centre, then enlarged {data.box_scale:g} times; black outside the "
        "image.",
        outputs=f"`mu` (B, K, {config.dims}), positions in crop widths and heights from the crop's centre: "
        "pixel = (mu + 0.5) × (width, height)."
        + f" The third coordinate is depth: mu × {DEPTH_UNIT_MM:g} mm behind the root."
        * (config.dims == 3),
        about_sigma=_about_sigma(config, f"(B, K, {config.dims})"),
        limits=[
            "The model always predicts a whole person: joints outside the crop or hidden are guessed, and a box "
            "without a person gets a pose, too.",
            "In a box with several persons, it is undefined whose pose is predicted.",
        ],
        use=[
            "from rlepose.inference import Predictor",
            "",
            'predictor = Predictor("best.pt")  # in this folder',
            'picture = predictor.predict("person.jpg", boxes="whole")[0]',
        ],
    )


def _lifting(config: Config) -> CardTexts:
    return CardTexts(
        network="3-D joints from a 2-D pose: a residual network of linear layers",
        judged="On the validation persons, from their labelled joints (detected joints give lower accuracy)"
        + (", averaged with the mirrored pose." if config.eval.flip_test else ", without the mirrored pose."),
        inputs="(B, 34), the intersections of the rays through the joints with the plane z = 1 in front of the camera: "
        "x and y of the root, then of the 16 other joints relative to it.",
        outputs="`mu` (B, 16, 3), all joints except the root, relative to it, in the camera's frame (x right, y down, "
        f"z away): mu × {DEPTH_UNIT_MM:g} mm.",
        about_sigma=_about_sigma(config, "(B, 16, 3)"),
        limits=[
            "The model was trained on labelled joints, without the errors of joints predicted in images.",
            "All 17 joints are required. The distance of the person from the camera is not predicted.",
        ],
        use=[
            "from rlepose.inference import Lifter",
            "",
            'lifter = Lifter("best.pt")  # in this folder',
            "joints_mm, std_mm = lifter.predict(keypoints, focal=(1147, 1146), principal=(514, 507))",
        ],
    )
