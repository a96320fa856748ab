"""Exported files: they compute what the model does, say how to use them, and are refused where they do not."""

import dataclasses
import json
import re
import subprocess
import sys
import typing
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from rlepose.config.config import Config
from rlepose.config.reading import load_config
from rlepose.datasets.of_config import crops_of
from rlepose.errors import InputError
from rlepose.evaluation.recalibration import Recalibration
from rlepose.export.choices import FormatName
from rlepose.export.formats import FORMATS, Exported
from rlepose.export.onnx_model import OnnxModel
from rlepose.jobs.export import export_checkpoint
from rlepose.jobs.validate import validate_checkpoint, validation_of
from rlepose.losses import build_criterion
from rlepose.models.pose_model import build_model
from rlepose.pose.codec import joint_scores
from rlepose.pose.skeleton import COCO, skeleton_from_names
from rlepose.runtime.checkpoint import Checkpoint, save_checkpoint
from rlepose.runtime.distributed import Ranks
from rlepose.runtime.trained_model import network_from_checkpoint, open_checkpoint
from tests.predicting import criterion_of

ROOT = Path(__file__).parents[2]
ALONE = Ranks(0, 1, torch.device("cpu"))
SOURCE = Path("tiny.pt")  # for messages


@pytest.fixture(scope="module")
def make_config(synthetic: Path) -> Callable[..., Config]:
    """make_config('loss.name=l1', …) -> Config of a network that computes in milliseconds."""
    tiny = [
        f"data.root={synthetic}",
        "data.input_size_hw=[64, 48]",
        "model.backbone.name=test_resnet",
        "loss.name=laplace",
        "eval.pictures=0",
        "system.workers=0",
        "system.device=cpu",
        "system.precision=float32",
    ]
    return lambda *overrides: load_config(ROOT / "configs" / "synthetic_res18_rle.yaml", [*tiny, *overrides])


@pytest.fixture(scope="module")
def config(make_config: Callable[..., Config]) -> Config:
    return make_config()


def untrained(config: Config, **changes: object) -> Checkpoint:
    """A network whose outputs spread over the crop and differ from joint to joint."""
    torch.manual_seed(0)
    criterion = build_criterion(config.loss, 17)
    model = build_model(config.model, 17, criterion.main.needs_sigma, pretrained=False).train()
    model(torch.from_numpy(crops_of(config, "train", 16)))  # statistics of batch normalisation
    for name, layer in model.head.named_modules():
        if name in ("coordinates", "scales", "layers.last"):
            torch.nn.init.normal_(layer.weight, std=0.3)
    states = {"model": model.state_dict(), "criterion": criterion.state_dict()}
    empty = {"progress": {}, "metrics": {}, "optimizer": {}, "random_states": []}
    return Checkpoint(**{"config": config, "skeleton": COCO, **states, **empty, **changes})


@pytest.fixture(scope="module")
def checkpoint(config: Config) -> Checkpoint:
    return untrained(config, recalibration=Recalibration("joint_scale", tuple(np.linspace(0.5, 2, 17).tolist())))


@pytest.fixture(scope="module")
def onnx_file(config: Config, checkpoint: Checkpoint, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("export") / "tiny.onnx"
    export_checkpoint(SOURCE, config, checkpoint, "onnx", "float32", out)
    return out


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_computes_what_the_model_does_and_says_how_to_use_it(
    name: FormatName, config: Config, checkpoint: Checkpoint, onnx_file: Path, tmp_path: Path
) -> None:
    path = onnx_file
    if name != "onnx":
        path = tmp_path / f"tiny{FORMATS[name].suffix}"
        export_checkpoint(SOURCE, config, checkpoint, name, "float32", path)
    model = network_from_checkpoint(checkpoint, config, SOURCE)
    description, run = FORMATS[name].open(path)
    for count in (1, 5):
        crops = crops_of(config, "val", count)
        outputs = run(crops)
        assert tuple(outputs) == description.outputs == ("mu", "sigma", "score")
        with torch.no_grad():
            expected = model(torch.from_numpy(crops))
        assert np.abs(outputs["mu"] - expected.mu.numpy()).max() < 1e-5
        assert np.abs(outputs["sigma"] - expected.sigma.numpy()).max() < 1e-5
        assert np.abs(outputs["score"] - joint_scores(expected).numpy()).max() < 1e-5
    assert expected.mu.std() > 0.02
    assert description.skeleton == COCO
    assert description.input_size_hw == (64, 48)
    assert description.box_scale == config.data.box_scale
    assert description.recalibration == checkpoint.recalibration
    assert np.shape(description.residual_spread) == (17, 2)
    assert np.allclose(description.residual_spread, np.sqrt(2))  # Laplace's


def test_half_precision_keeps_the_head_and_halves_the_file(
    config: Config, checkpoint: Checkpoint, onnx_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "half.onnx"
    found = export_checkpoint(SOURCE, config, checkpoint, "onnx", "float16", out)
    assert 1e-6 < found.largest["mu"] < 5e-3
    assert out.stat().st_size < 0.65 * onnx_file.stat().st_size
    assert FORMATS["onnx"].open(out).run(crops_of(config, "val", 1))["mu"].dtype == np.float32


def test_int8_names_the_command_that_measures_what_it_costs(
    config: Config, checkpoint: Checkpoint, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "int8.onnx"
    with caplog.at_level("INFO"):
        export_checkpoint(SOURCE, config, checkpoint, "onnx", "int8", out)
    assert f"run rlepose validate --checkpoint {SOURCE} --onnx {out}, and the same without" in caplog.text


def test_int8_quantises_the_backbone_and_not_the_head(
    config: Config, checkpoint: Checkpoint, onnx_file: Path, tmp_path: Path
) -> None:
    import onnx

    out = tmp_path / "int8.onnx"
    found = export_checkpoint(SOURCE, config, checkpoint, "onnx", "int8", out)
    assert 1e-6 < np.median(found.apart) < 1
    assert FORMATS["onnx"].open(out).description.precision == "int8"
    graph = onnx.load(out).graph
    made_by = {output: node.op_type for node in graph.node for output in node.output}
    weights = {kind: {made_by.get(n.input[1]) for n in graph.node if n.op_type == kind} for kind in ("Conv", "Gemm")}
    assert weights == {"Conv": {"DequantizeLinear"}, "Gemm": {None}}


@pytest.mark.parametrize("error", [2e-4, np.nan])
def test_a_file_that_computes_something_else_is_refused(
    error: float, config: Config, checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = FORMATS["torchscript"]

    def open_broken(path: Path) -> Exported:
        description, run = kind.open(path)

        def broken(image: NDArray) -> dict[str, NDArray]:
            outputs = run(image)
            outputs["sigma"][0, 3, 1] += error
            return outputs

        return Exported(description, broken)

    monkeypatch.setitem(FORMATS, "torchscript", kind._replace(open=open_broken))
    with pytest.raises(
        InputError, match=r"tiny\.torchscript\.rejected: its outputs differ from the outputs of .*tiny\.pt .*sigma"
    ):
        export_checkpoint(SOURCE, config, checkpoint, "torchscript", "float32", tmp_path / "tiny.torchscript")
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.torchscript.rejected"]


def test_a_file_that_does_not_run_is_refused(
    config: Config, checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = FORMATS["torchscript"]

    def batch_of_two(image: NDArray) -> dict[str, NDArray]:
        raise RuntimeError("expected a batch of 2, got 12")

    broken = kind._replace(open=lambda path: Exported(kind.open(path).description, batch_of_two))
    monkeypatch.setitem(FORMATS, "torchscript", broken)
    with pytest.raises(InputError, match=r"torchscript\.rejected: its outputs differ .* \(expected a batch of 2"):
        export_checkpoint(SOURCE, config, checkpoint, "torchscript", "float32", tmp_path / "tiny.torchscript")


def test_a_loss_without_sigma_gives_positions_alone(make_config: Callable[..., Config], tmp_path: Path) -> None:
    config = make_config("loss.name=l1")
    out = tmp_path / "l1.torchscript"
    export_checkpoint(SOURCE, config, untrained(config), "torchscript", "float32", out)
    description, run = FORMATS["torchscript"].open(out)
    assert description.outputs == tuple(run(crops_of(config, "val", 1))) == ("mu",)


@pytest.mark.parametrize("refinement", ["quarter", "dark"])
def test_heatmaps_are_exported_as_positions_and_scores(
    make_config: Callable[..., Config], tmp_path: Path, refinement: str
) -> None:
    config = make_config("loss.name=heatmap_mse", f"model.head={{name: heatmap, refinement: {refinement}}}")
    checkpoint = untrained(config)
    out = tmp_path / "heatmap.onnx"
    export_checkpoint(SOURCE, config, checkpoint, "onnx", "float32", out)
    description, run = FORMATS["onnx"].open(out)
    outputs = run(crops_of(config, "val", 3))
    assert description.outputs == tuple(outputs) == ("mu", "score")
    metrics = [
        validate_checkpoint(SOURCE, config, checkpoint, ["gt"], tmp_path, ALONE, onnx=file) for file in (None, out)
    ]
    assert metrics[0] == pytest.approx(metrics[1], abs=0.05)  # the flip test averages heatmaps, or positions
    assert OnnxModel(out, COCO, (64, 48))(torch.zeros(1, 3, 64, 48, dtype=torch.uint8)).score is not None


def test_what_cannot_be_exported_is_refused_with_the_reason(
    make_config: Callable[..., Config], config: Config, checkpoint: Checkpoint, tmp_path: Path
) -> None:
    basic = make_config("loss.name=basic")
    with pytest.raises(InputError, match=r"tiny\.pt: loss\.name=basic needs its flow at inference"):
        export_checkpoint(SOURCE, basic, untrained(basic), "onnx", "float32", tmp_path / "basic.onnx")
    with pytest.raises(InputError, match="--precision: int8 needs --format onnx, not torch_export"):
        export_checkpoint(SOURCE, config, checkpoint, "torch_export", "int8", tmp_path / "tiny.pt2")
    with pytest.raises(InputError, match=r"--out: expected a name ending in \.pt2 .*, got .*tiny\.onnx"):
        export_checkpoint(SOURCE, config, checkpoint, "torch_export", "float32", tmp_path / "tiny.onnx")


def test_without_pictures_the_comparison_takes_random_ones_and_says_so(
    make_config: Callable[..., Config], checkpoint: Checkpoint, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = make_config(f"data.root={tmp_path}")
    export_checkpoint(SOURCE, config, checkpoint, "torchscript", "float32", tmp_path / "tiny.torchscript")
    assert "so using random pictures" in caplog.text
    with pytest.raises(InputError, match=r"person_keypoints_train\.json: the annotation file does not exist"):
        export_checkpoint(SOURCE, config, checkpoint, "onnx", "int8", tmp_path / "tiny.onnx")


def test_a_missing_library_is_named_with_the_command_that_installs_it(
    config: Config, checkpoint: Checkpoint, onnx_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match="need onnxscript and onnxruntime; run pip install onnxscript onnxruntime"):
        export_checkpoint(SOURCE, config, checkpoint, "onnx", "float32")
    with pytest.raises(InputError, match="need onnxruntime; run pip install onnxruntime"):
        FORMATS["onnx"].open(onnx_file)


def test_an_onnx_file_that_does_not_fit_is_refused(onnx_file: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.onnx: no such file"):
        OnnxModel(tmp_path / "nowhere.onnx", COCO, (64, 48))
    (tmp_path / "broken.onnx").write_bytes(b"no such format")
    with pytest.raises(InputError, match=r"broken\.onnx: onnxruntime cannot read the file"):
        OnnxModel(tmp_path / "broken.onnx", COCO, (64, 48))
    with pytest.raises(InputError, match=r"has 17 joints .* but the checkpoint has 1 \(tail\)"):
        OnnxModel(onnx_file, skeleton_from_names(["tail"]), (64, 48))
    with pytest.raises(InputError, match=r"expects crops of 64x48, but data\.input_size_hw is \[256, 192\]"):
        OnnxModel(onnx_file, COCO, (256, 192))


def test_an_onnx_file_of_others_is_refused(onnx_file: Path, tmp_path: Path) -> None:
    import onnx

    model = onnx.load(onnx_file)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "foreign.onnx")
    with pytest.raises(InputError, match=r"foreign\.onnx: no description in the metadata"):
        OnnxModel(tmp_path / "foreign.onnx", COCO, (64, 48))


def test_validation_of_an_onnx_file_gives_the_models_poses_one_by_one_and_in_batches(
    make_config: Callable[..., Config], checkpoint: Checkpoint, onnx_file: Path, tmp_path: Path
) -> None:
    expected, *found = (tmp_path / name for name in ("torch", "batches", "one_by_one"))
    validate_checkpoint(SOURCE, make_config(), checkpoint, ["gt"], expected, ALONE)
    blank = {name: torch.zeros_like(value) for name, value in checkpoint.model.items()}
    checkpoint = dataclasses.replace(checkpoint, model=blank)  # so that only the file can know
    for folder, size in zip(found, (5, 1), strict=True):
        config = make_config(f"eval.batch_size={size}")
        validate_checkpoint(SOURCE, config, checkpoint, ["gt"], folder, ALONE, onnx=onnx_file)
        poses = [json.loads((path / "keypoints_gt.json").read_text()) for path in (expected, folder)]
        assert len(poses[0]) == len(poses[1]) >= 12
        for one, other in zip(*poses, strict=True):
            assert np.allclose(one["keypoints"], other["keypoints"], atol=0.02)
            assert one["score"] == pytest.approx(other["score"], abs=1e-5)


def test_the_commands_export_and_validate_an_onnx_file(
    run_script: Callable[..., subprocess.CompletedProcess[str]], checkpoint: Checkpoint, onnx_file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "tiny" / "checkpoints" / "best.pt"
    save_checkpoint(path, checkpoint)
    result = run_script("export.py", "--checkpoint", path, "--format", "torchscript")
    assert result.returncode == 0, result.stderr
    assert re.search(r"compared with the model on 1\d crops: largest difference mu", result.stdout)
    assert (tmp_path / "tiny" / "export" / "best.torchscript").exists()
    result = run_script("validate.py", "--checkpoint", path, "--onnx", onnx_file)
    assert result.returncode == 0, result.stderr
    assert "gt/AP" in json.loads((tmp_path / "tiny" / "results" / "tiny.onnx" / "metrics.json").read_text())


def test_the_example_in_the_docs_gives_what_validation_gives(
    make_config: Callable[..., Config], checkpoint: Checkpoint, onnx_file: Path
) -> None:
    config = make_config("eval.flip_test=false")
    validation = validation_of(SOURCE, config, checkpoint, "gt", ALONE)
    model = open_checkpoint(SOURCE, config, checkpoint, ALONE.device)
    poses = validation.source.predict(model)
    person = 3
    box = ", ".join(map(str, validation.table.bbox_xywh[person].tolist()))
    text = (ROOT / "docs" / "deployment.md").read_text()
    example = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    for written, meant in (
        ("exp/demo/export/best.onnx", str(onnx_file)),
        ("picture.png", str(validation.table.image_path(person))),
        ("40, 30, 60, 120", box),
    ):
        assert written in example
        example = example.replace(written, meant)
    names: dict[str, NDArray] = {}
    exec(example, names)
    assert np.abs(names["keypoints"] - poses.keypoints[person]).max() < 0.02
    deviation = poses.sigma[person] * criterion_of(checkpoint).residual_spread(17).numpy()
    assert np.allclose(names["deviation"], deviation, rtol=1e-3)
    assert np.allclose(names["score"][0], poses.joint_scores[person], atol=1e-5)


def test_every_format_of_the_type_has_an_entry() -> None:
    assert set(FORMATS) == set(typing.get_args(FormatName))
