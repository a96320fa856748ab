"""What CI runs is run on every folder that tests can use: none may be missing."""

import os
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_missing_folder_ends_the_run_before_any_test(tmp_path: Path) -> None:
    checkout, programs = tmp_path / "checkout", tmp_path / "programs"
    (checkout / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", checkout / ".ci")
    programs.mkdir()
    for name in ("make", "chromium"):
        (programs / name).write_text(
            '#!/bin/sh\necho "$0 $* $RLEPOSE_TEST_DATA $RLEPOSE_TEST_REFERENCE $RLEPOSE_TEST_CASES"\n'
        )
        (programs / name).chmod(0o755)
    without = {name: value for name, value in os.environ.items() if not name.startswith("RLEPOSE_TEST_")}
    environment = without | {"PATH": f"{programs}:{os.environ['PATH']}"}

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run([checkout / ".ci" / "run"], env=environment, capture_output=True, text=True)

    folders = []
    for name in ("data", "reference", "cases"):
        refused = run()
        assert refused.returncode == 1 and not refused.stdout
        message = re.search(r"there is no folder (/\S+);", refused.stderr)
        assert message is not None, refused.stderr
        folders.append(Path(message[1]))
        assert folders[-1].name == name
        folders[-1].mkdir(parents=True)

    complete = run()
    assert complete.returncode == 0, complete.stderr
    assert f"make test {' '.join(map(str, folders))}" in complete.stdout
