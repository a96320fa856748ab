"""What the page does with what a person does, without a browser."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rlepose.inference import PersonPose, PicturePoses, Predictor
from rlepose.web import view
from rlepose.web.view import Seen


@pytest.mark.parametrize(("clicked", "joint"), [(40, "nose"), (41, "nose"), (42, "left_eye")])
def test_a_click_is_counted_from_the_pictures_corner(checkpoint: Callable[..., Path], clicked: int, joint: str) -> None:
    """A browser's 41 is between the centres of pixels 40 and 41, so it is nearer to 40 than to 41.2."""
    gradio = pytest.importorskip("gradio")
    from rlepose.web.page import build_page

    page = build_page(Predictor(checkpoint("loss.name=l1"), "cpu"))
    pick = next(function.fn for function in page.fns.values() if function.name == "pick")
    keypoints = np.full((17, 2), 900.0)
    keypoints[:2] = (40, 40), (41.2, 40)
    person = PersonPose(np.array([0.0, 0, 1000, 1000]), keypoints, None, np.ones(17), 1.0, None)
    seen = Seen(np.zeros((1000, 1000, 3), np.uint8), PicturePoses("black", (1000, 1000), (person,), ()))
    assert view.enlargement(seen) == 1
    answers = pick(seen, gradio.SelectData(None, {"index": [clicked, 40], "value": None}))
    assert next(value for widget, value in answers.items() if widget.elem_id == "joint") == joint
