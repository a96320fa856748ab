"""The local server of the web page."""

import logging
import os

from rlepose.errors import InputError
from rlepose.inference import Predictor

log = logging.getLogger(__name__)

_KEPT_PAGES = 8  # number of open pages whose pictures stay in memory, at most 256 MiB each
_LARGEST_FILE = "256mb"


def serve(predictor: Predictor, host: str, port: int) -> None:
    """Serve the page until interrupted. Nothing leaves the machine: no shared link, no telemetry.

    Raises InputError if gradio is not installed, and for a port that is not available.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    try:
        from rlepose.web.page import build_page
    except ImportError as error:
        raise InputError("the web page needs gradio; run pip install -e '.[web]'") from error

    logging.getLogger("httpx").setLevel(logging.WARNING)  # gradio sends requests to its own server at the start
    try:
        page = build_page(predictor)
        _, url, _ = page.launch(
            server_name=host,
            server_port=port,
            share=False,
            quiet=True,
            prevent_thread_lock=True,
            ssr_mode=False,
            mcp_server=False,
            footer_links=[],
            max_file_size=_LARGEST_FILE,
            state_session_capacity=_KEPT_PAGES,
        )
    except OSError as error:
        raise InputError(f"--port: {host}:{port} is not available; choose another port, or check --host") from error
    log.info("page            %s", url)
    page.block_thread()
