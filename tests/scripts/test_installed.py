"""rlepose as pip installs it: the wheel, in an environment of its own, without the checkout."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ("rlepose", "configs", "docs", "pyproject.toml", "setup.py", "README.md", "LICENSE", "requirements.txt")

pytestmark = pytest.mark.slow
Program = Callable[..., subprocess.CompletedProcess[str]]


def run(*command: object, **where: object) -> subprocess.CompletedProcess[str]:
    """A command to its end, without what names this checkout."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"OMP_NUM_THREADS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, **where)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment with the wheel, which sees the libraries of this one."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    source.mkdir()
    for name in SOURCE:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source)
    pip = (sys.executable, "-m", "pip")
    built = run(*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder, source)
    assert built.returncode == 0, built.stderr
    shutil.rmtree(source)

    made = run(sys.executable, "-m", "venv", "--without-pip", folder / "env")
    assert made.returncode == 0, made.stderr
    paths = {"base": str(folder / "env"), "platbase": str(folder / "env")}
    site = Path(sysconfig.get_path("purelib", vars=paths))
    # A .pth file of a folder that is itself named by one is not read: this checkout stays out.
    (site / "libraries.pth").write_text("\n".join({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}))
    bin_folder = Path(sysconfig.get_path("scripts", vars=paths))
    (wheel,) = folder.glob("*.whl")
    installed = run(*pip, "--python", bin_folder / "python", "install", "--no-deps", "--no-index", wheel)
    assert installed.returncode == 0, installed.stderr
    return bin_folder


def test_drawn_people_are_trained_on_from_an_empty_folder(programs: Path, tmp_path: Path) -> None:
    drawn = run(programs / "rlepose", "draw-people", "--train", 8, "--val", 4, cwd=tmp_path)
    assert drawn.returncode == 0, drawn.stderr
    options = ["train.epochs=1", "train.batch_size=8", "train.validate_every=1", "train.log_every=1"]
    options += ["system={workers: 0, device: cpu, precision: float32}", "model.backbone.name=test_resnet"]
    options += ["loss.name=laplace", "train.schedule={name: step, milestones: [], warmup_epochs: 0}"]
    trained = run(programs / "rlepose", "train", "--cfg", "synthetic_res18_rle", "--set", *options, cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    experiment = tmp_path / "exp" / "synthetic_res18_rle"
    steps = [json.loads(line)["step"] for line in (experiment / "metrics.jsonl").read_text().splitlines()]
    assert max(steps) >= 2
    assert (experiment / "checkpoints" / "best.pt").exists()


def test_the_package_brings_what_it_needs(programs: Path, tmp_path: Path) -> None:
    code = """
from pathlib import Path
import rlepose
from rlepose import Predictor
from rlepose.comparison.suite import load_suite
from rlepose.config.reading import load_config
from rlepose.config.shipped import shipped_configs
for path in shipped_configs().values():
    load_config(path)
for path in shipped_configs("suites").values():
    load_suite(path).runs()
package = Path(rlepose.__file__).parent
print(package, (package / "py.typed").exists(), len(shipped_configs()))
"""
    result = run(programs / "python", "-c", code, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    package, typed, count = result.stdout.split()
    assert Path(package).is_relative_to(programs.parent)
    assert (typed, int(count)) == ("True", len(list((ROOT / "configs").glob("*.yaml"))))
