"""The origin of results: commit, versions, device and time."""

import platform
import subprocess
from datetime import datetime, timezone
from functools import cache
from pathlib import Path
from typing import Any

import torch

import rlepose
from rlepose.runtime.distributed import Ranks

_PACKAGE = Path(rlepose.__file__).parent


def origin(ranks: Ranks) -> dict[str, Any]:
    """Return commit, versions, device and time in JSON types.

    time: UTC. commit, modified: see `code_version`. threads: CPU threads of torch per rank.
    """
    return {
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        **code_version(_PACKAGE),
        "rlepose": rlepose.__version__,
        "torch": torch.__version__,
        "device": device_name(ranks.device),
        "ranks": ranks.world_size,
        "threads": torch.get_num_threads(),
    }


@cache
def code_version(package: Path) -> dict[str, Any]:
    """Return the git commit of a package's code, cached per process.

    commit: None if git does not track the package's folder, or is not installed. modified: whether a file in the folder
    differs from the commit, except for ignored files; None without a commit.
    """
    unknown = {"commit": None, "modified": None}
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return unknown  # installed: a repository around the environment is not that of the code
    commit, changes = _git(package, "rev-parse", "HEAD"), _git(package, "status", "--porcelain", "--", ".")
    return unknown if commit is None or changes is None else {"commit": commit.strip(), "modified": bool(changes)}


def device_name(device: torch.device) -> str:
    """Return the manufacturer's name of a device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def _git(folder: Path, *arguments: str) -> str | None:
    """Return git's output; None if it fails."""
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
