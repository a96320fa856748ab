"""What an import costs: libraries that take long to import are imported where they are used."""

import subprocess
import sys

SLOW = ("torchvision", "timm", "matplotlib", "pycocotools", "tensorboard", "torch.utils.tensorboard", "scipy", "zuko")


def test_importing_what_trains_imports_no_slow_library() -> None:
    parts = "rlepose, rlepose.config.config, rlepose.losses, rlepose.training.trainer"
    code = f"import sys, {parts}; print(*[name for name in {SLOW} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []
