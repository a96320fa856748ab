"""The trainings that compare_commits.py runs: few steps of tiny networks, so various that together they take each part
of a training and of a validation. Only documented options are set.
"""

from dataclasses import dataclass, replace

DETECTIONS = "detections.json"  # below the folder of the data in 2-D


@dataclass(frozen=True)
class Plan:
    """A training and the validations of its last checkpoint: config file, options, processes, arguments."""

    config: str
    data: str
    options: tuple[str, ...]
    validations: tuple[tuple[str, ...], ...] = ()
    ranks: int = 1


_2D, _3D = "configs/synthetic_res18_rle.yaml", "configs/synthetic_3d_res10_rle.yaml"
_SMALL = (
    "train={batch_size: 16, log_every: 1}",
    "eval={pictures: 2, batch_size: 16, flip_test: true}",
    "system.device=cpu",
    "model.backbone={name: resnet10t, pretrained: false, options: {stem_width: 8, channels: [16, 32, 64, 128]}}",
)
_SMALL_2D = (
    *_SMALL,
    "augment={flip_prob: 0.5, scale: 0.25, rotation_prob: 0.5, half_body_prob: 0.3, color: 0.2}",
    "eval={pck_reference: torso, nme_reference: box}",
)
PLANS = {
    "2d": Plan(
        _2D,
        "2d",
        (
            *_SMALL_2D,
            "augment.occlusion_prob=0.3",
            "data.cache=jpeg",
            "train={epochs: 4, validate_every: 2, save_every: 5}",
            "train={average_decay: 0.9, clip_grad_norm: 35}",
            "train.schedule={name: cosine, warmup_epochs: 0.5}",
            "system.workers=1",
        ),
        (("--calibration", "--set", f"data.detections={DETECTIONS}"),),
    ),
    "3d": Plan(
        _3D,
        "3d",
        (
            *_SMALL,
            "data={extra_annotations: mpii/annotations/annot_mpii.json, extra_images: mpii/images, cache: raw}",
            "augment={distribution: normal, flip_prob: 0.5, scale: 0.3, rotation_deg: 30, rotation_prob: 0.6}",
            "augment={color: 0.2, occlusion_prob: 1.0}",
            "loss={outside_weight: 1, root_depth: true}",
            "train={epochs: 2, validate_every: 1, clip_grad_by: tensor}",
            "train.schedule={name: step, milestones: [1], gamma: 0.1, warmup_epochs: 0.5}",
            "system.workers=1",
        ),
        ((),),
    ),
    "heatmap": Plan(
        _2D,
        "2d",
        (
            *_SMALL_2D,
            "data.input_size_hw=[64, 64]",
            "model.head={name: heatmap, deconv_width: 32}",
            "loss={name: heatmap_mse, hidden_weight: 0.5}",
            "train={epochs: 3, validate_every: 2, accumulate: 2}",
            "train.optimizer={name: adamw, lr: 0.004, weight_decay: 0.01}",
            "system.workers=0",
        ),
        ((), ("--set", "model.head.refinement=dark", "loss.heatmap.centers=exact")),
    ),
    "integral": Plan(
        _2D,
        "2d",
        (
            *_SMALL_2D,
            "data.input_size_hw=[64, 64]",
            "model.head={name: integral, alignment: udp, deconv_width: 32, sigma: softplus}",
            "loss={name: rle, form: paper, flow: {base: laplace}}",
            "train={epochs: 3, validate_every: 2, on_nonfinite: skip}",
            "train.optimizer={name: sgd, lr: 0.001, weight_decay: 0.0001}",
            "system.workers=0",
        ),
        ((),),
    ),
    "two_ranks": Plan(
        _2D,
        "2d",
        (
            *_SMALL_2D,
            "loss={name: dle, flow: {base: laplace}}",
            "train={epochs: 2, validate_every: 1, accumulate: 2}",
            "train={average_decay: 0.9, clip_grad_norm: 35}",
            "system.workers=0",
        ),
        ranks=2,
    ),
}
# Stopped and resumed, it shall give what it gives uninterrupted.
RESUMED, UNINTERRUPTED = "resumed", "2d"
PLANS[RESUMED] = replace(PLANS[UNINTERRUPTED], validations=())
