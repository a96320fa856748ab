"""What starting the page says when it cannot."""

import socket
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
    with pytest.raises(InputError, match=r"needs the extra 'web'; install it with pip install -e '\.\[web\]'"):
        serve(Predictor(checkpoint(), "cpu"), "127.0.0.1", 0)


def test_a_port_in_use_is_named(checkpoint: Callable[..., Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"--port: 127.0.0.1:{port} cannot be had; choose another port"):
            serve(Predictor(checkpoint(), "cpu"), "127.0.0.1", port)
