"""What starting the page says when it cannot."""

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rlepose.errors import InputError
from rlepose.inference import Predictor
from rlepose.web.server import serve


def test_a_missing_gradio_is_named(checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "rlepose.web.page", raising=False)
    with pytest.raises(InputError, match=r"needs gradio; run pip install -e '\.\[web\]'"):
        serve(Predictor(checkpoint(), "cpu"), "127.0.0.1", 0)


def test_a_port_in_use_is_named(checkpoint: Callable[..., Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"--port: 127.0.0.1:{port} is not available; choose another port"):
            serve(Predictor(checkpoint(), "cpu"), "127.0.0.1", port)


@pytest.mark.parametrize("option", [("--detector", "ssd300_vgg16"), ("--detector-threshold", "0.3")])
def test_options_of_a_detector_that_is_not_loaded_are_refused(
    run_script: Callable[..., subprocess.CompletedProcess[str]], option: tuple[str, str]
) -> None:
    result = run_script("demo_web.py", "--checkpoint", "none.pt", *option)
    assert result.returncode == 2
    assert f"{option[0]} needs --detector-weights" in result.stderr
