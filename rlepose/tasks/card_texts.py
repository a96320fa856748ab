"""What a model card says of the tasks: how a network is used, and what its numbers leave open."""

from typing import NamedTuple

from rlepose.config.config import Config
from rlepose.losses import LOSSES
from rlepose.models.options import LiftingModelConfig
from rlepose.pose.codec import DEPTH_UNIT_MM
from rlepose.pose.skeleton import Skeleton


class CardTexts(NamedTuple):
    """network: from what to what, by which network. judged: on what its metrics were measured, and how.

    inputs, outputs, about_sigma: shapes, units, and what sigma is. limits: a sentence or two each. use: Python code.
    """

    network: str
    judged: str
    inputs: str
    outputs: str
    about_sigma: str
    limits: list[str]
    use: list[str]


def card_texts(config: Config, skeleton: Skeleton) -> CardTexts:
    """The texts of a config's task."""
    return _lifting(config) if isinstance(config.model, LiftingModelConfig) else _top_down(config, skeleton)


def _about_sigma(config: Config, shape: str) -> str:
    loss = LOSSES[config.loss.name]
    if not loss.needs_sigma:
        return f"No sigma: the loss {config.loss.name} learns none."
    return (
        f"`sigma` {shape}, in the same unit: {loss.about_sigma}. It is no variance, and "
        "on other data than that of training it may be too small."
    )


def _top_down(config: Config, skeleton: Skeleton) -> CardTexts:
    data, model = config.data, config.top_down
    height, width = data.input_size_hw
    return CardTexts(
        network=f"{config.dims}-D pose of one person in a crop: {len(skeleton)} joints by {model.backbone.name}, head "
        f"{model.head.name}",
        judged="On the validation persons, in their annotated boxes (`gt`; a detector's boxes cost accuracy)"
        + (", with flip test." if config.eval.flip_test else ", without flip test."),
        inputs=f"RGB 0 … 255 (B, 3, {height}, {width}), normalised inside. A crop is a person's box, grown to the "
        f"shape {width}×{height} around its centre, then {data.box_scale:g} times as large; black outside the picture.",
        outputs=f"`mu` (B, K, {config.dims}), positions in crop widths and heights from the crop's middle: "
        "pixel = (mu + 0.5) × (width, height)."
        + f" The third is the depth: mu × {DEPTH_UNIT_MM:g} mm behind the root."
        * (config.dims == 3),
        about_sigma=_about_sigma(config, f"(B, K, {config.dims})"),
        limits=[
            "It always answers with a whole person: joints outside the crop or hidden are guessed, and a box without a "
            "person gets a pose, too.",
            "In a box with several persons nothing says whose pose comes out.",
        ],
        use=[
            "from rlepose.inference import Predictor",
            "",
            'predictor = Predictor("best.pt")  # of this folder',
            'picture = predictor.predict("person.jpg", boxes="whole")[0]',
        ],
    )


def _lifting(config: Config) -> CardTexts:
    return CardTexts(
        network="Joints in space of a 2-D pose: a residual network of linear layers",
        judged="On the validation persons, from their labelled joints (a detector's cost accuracy)"
        + (", averaged with the mirrored pose." if config.eval.flip_test else ", without the mirrored pose."),
        inputs="(B, 34), where the rays through the joints meet the plane z = 1 before the camera: x and y of the "
        "root, then of the 16 other joints relative to it.",
        outputs="`mu` (B, 16, 3), the joints but the root, relative to it in the camera's frame (x right, y down, z "
        f"away): mu × {DEPTH_UNIT_MM:g} mm.",
        about_sigma=_about_sigma(config, "(B, 16, 3)"),
        limits=[
            "It saw labelled joints, without the errors that joints found in pictures have.",
            "All 17 joints have to be there. How far away the person is, it does not say.",
        ],
        use=[
            "from rlepose.inference import Lifter",
            "",
            'lifter = Lifter("best.pt")  # of this folder',
            "joints_mm, std_mm = lifter.predict(keypoints, focal=(1147, 1146), principal=(514, 507))",
        ],
    )
