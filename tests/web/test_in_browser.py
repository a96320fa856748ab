"""The page as a person uses it, in a real browser without a window."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE_S = 240  # for one step, on a busy machine


@pytest.fixture
def browser() -> str:
    """Path of a Chromium. Where the variable is set, one that does not start is a failure."""
    path = os.environ.get("RLEPOSE_TEST_BROWSER")
    if not path:
        pytest.skip("RLEPOSE_TEST_BROWSER is not set: no Chromium to open the page in")
    return path


@pytest.fixture
def url(checkpoint: Callable[..., Path], tmp_path: Path) -> Iterator[str]:
    """The address of the page of a model with random weights, served by the script."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    path = checkpoint("loss.name=rle")
    command = [sys.executable, "scripts/demo_web.py", "--checkpoint", path, "--device", "cpu", "--port", str(port)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GRADIO_TEMP_DIR": str(tmp_path / "gradio")}
    output = tmp_path / "server.log"
    with output.open("w") as log, subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log) as run:
        try:
            deadline = time.monotonic() + PATIENCE_S
            while f":{port}" not in output.read_text():
                assert run.poll() is None and time.monotonic() < deadline, output.read_text()
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}/"
            assert run.poll() is None, output.read_text()  # no file that was dropped has killed it
            assert "Traceback" not in output.read_text(), output.read_text()
        finally:
            run.kill()


def test_a_dropped_picture_is_answered_and_a_bad_file_is_told(
    browser: str, url: str, synthetic: Path, tmp_path: Path
) -> None:
    from playwright.sync_api import expect, sync_playwright

    bad = tmp_path / "notes.jpg"
    bad.write_text("no picture")
    picture = sorted((synthetic / "val").iterdir())[0]
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=browser) as chromium:
        page = chromium.new_page()
        page.set_default_timeout(1000 * PATIENCE_S)
        expect.set_options(timeout=1000 * PATIENCE_S)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(url)
        drop = page.locator("#file input[type=file]")
        density, joint = page.locator("#density img"), page.get_by_label("Joint, or click on one")

        joint.click()  # nothing is there to be shown of it
        page.get_by_role("option", name="left_wrist").click()
        drop.set_input_files(bad)
        message = page.locator("#message textarea")
        expect(message).to_have_value(
            re.compile(r"^notes\.jpg: cannot be decoded as a picture; copy or download it again")
        )
        expect(density).to_have_count(0)

        page.get_by_label("Clear").click()
        expect(message).to_have_count(0)
        drop.set_input_files(picture)
        expect(density).to_be_visible()
        expect(message).to_have_count(0)
        expect(page.locator("#note")).to_contain_text("The density that the flow has learned")
        drawn = page.locator("#picture img")
        assert drawn.evaluate("image => image.decode().then(() => image.naturalWidth)") > 500
        for name in ("nose", "left_wrist", "right_ankle"):
            expect(page.locator("#joints")).to_contain_text(name)

        first = density.get_attribute("src")
        joint.click()
        page.get_by_role("option", name="right_knee").click()
        expect(density).not_to_have_attribute("src", first)

        chosen = density.get_attribute("src")
        drawn.click(position={"x": 5, "y": 5})
        expect(density).not_to_have_attribute("src", chosen)
        expect(joint).not_to_have_value("right_knee")

        hosts = {urlsplit(address).netloc for address in asked if address.startswith("http")}
        assert hosts == {urlsplit(url).netloc}  # the page works without a network
