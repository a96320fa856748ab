"""The web page: drop a picture to see poses, the uncertainty of each joint, and its density. Needs the extra gradio."""

from typing import Any, NamedTuple

import gradio
import numpy as np

from rlepose.errors import InputError
from rlepose.inference import Predictor
from rlepose.web import view
from rlepose.web.view import Seen

_KEPT_SECONDS = 600, 3600  # interval of the clean-up, and age of uploaded files to delete
_BUTTONS = ["download", "fullscreen"]  # without a share button


class _Widgets(NamedTuple):
    """Widgets that a response updates."""

    seen: Any
    message: Any
    picture: Any
    person: Any
    table: Any
    note: Any
    density: Any
    space: Any


def build_page(predictor: Predictor) -> gradio.Blocks:
    """Build the page, without serving it."""
    names = list(predictor.skeleton.names)
    loss = predictor.config.loss.name
    choices = [view.WHOLE] if predictor.detector is None else [view.FOUND, view.WHOLE]

    with gradio.Blocks(title=f"rlepose: {predictor.config.name}", delete_cache=_KEPT_SECONDS, fill_width=True) as page:
        gradio.Markdown(f"## {predictor.config.name}: poses and how sure they are")
        with gradio.Row():
            with gradio.Column(scale=1, min_width=280):
                file = gradio.File(label="Drop a picture", height=150, elem_id="file")
                boxes = gradio.Dropdown(
                    choices,
                    allow_custom_value=True,
                    label="Boxes of the persons",
                    info="or type x y width height in px; several with ; between them",
                    elem_id="boxes",
                )
                message = gradio.Textbox(label="Message", visible=False, lines=2, elem_id="message")
                person = gradio.Dropdown(label="Person", type="index", visible=False, elem_id="person")
                joint = gradio.Dropdown(names, type="index", label="Joint, or click on one", elem_id="joint")
            with gradio.Column(scale=3):
                picture = gradio.Image(
                    label="Poses, with ellipses of one standard deviation",
                    format="jpeg",
                    interactive=False,
                    height=480,
                    buttons=_BUTTONS,
                    elem_id="picture",
                )
        with gradio.Row():
            table = gradio.Dataframe(label="Joints", interactive=False, visible=False, max_height=640, elem_id="joints")
            with gradio.Column():
                note = gradio.Markdown(elem_id="note")
                density = gradio.Plot(show_label=False, format="png", visible=False, elem_id="density")
                space = gradio.Image(
                    show_label=False,  # the views have titles
                    format="png",
                    visible=False,
                    interactive=False,
                    buttons=_BUTTONS,
                    elem_id="space",
                )

        widgets = _Widgets(gradio.State(), message, picture, person, table, note, density, space)

        def look(path: str | None, where: str, number: int) -> dict[Any, Any]:
            if path is None:
                return _cleared(widgets)
            try:
                seen = view.look_at(predictor, path, where or choices[0])
            except InputError as error:
                return _cleared(widgets, str(error))
            persons = view.person_titles(seen)
            return {
                widgets.seen: seen,
                message: _shown_if(" ".join(seen.poses.problems)),
                picture: view.drawn(seen, predictor),
                person: gradio.update(choices=persons, value=persons[0], visible=len(persons) > 1),
                **show(seen, 0, number),
            }

        def show(seen: Seen | None, who: int, number: int) -> dict[Any, Any]:
            """Show the table of a person and the density of a joint."""
            if seen is None:
                return gradio.skip()
            pose = seen.poses.persons[who]
            figure = view.density_figure(seen, who, number, names[number])
            tiles, why_not = view.in_space(pose, predictor)
            rows = {"headers": view.joint_columns(pose), "data": view.joint_rows(pose, names)}
            return {
                table: gradio.update(value=rows, visible=True),
                note: why_not or view.density_note(pose, loss),
                density: gradio.update(value=figure, visible=figure is not None),
                space: gradio.update(value=tiles, visible=tiles is not None),
            }

        def pick(seen: Seen | None, event: gradio.SelectData) -> dict[Any, Any]:
            """Select the joint that was clicked."""
            if seen is None:
                return gradio.skip()
            # gradio measures from the picture's corner, half a pixel before the centre of the first pixel.
            who, number = view.nearest_joint(seen, np.array(event.index, float) - 0.5)
            return {joint: names[number], person: view.person_titles(seen)[who], **show(seen, who, number)}

        filled = list(widgets)
        gradio.on([file.change, boxes.change], look, [file, boxes, joint], filled)
        gradio.on([person.input, joint.input], show, [widgets.seen, person, joint], [table, note, density, space])
        picture.select(pick, [widgets.seen], [joint, person, table, note, density, space])
    return page


def _cleared(widgets: _Widgets, message: str = "") -> dict[Any, Any]:
    empty = dict.fromkeys(widgets)
    return empty | {
        widgets.message: _shown_if(message),
        widgets.person: gradio.update(choices=[], value=None, visible=False),
        widgets.table: gradio.update(value=None, visible=False),
        widgets.note: "",
        widgets.density: gradio.update(value=None, visible=False),
        widgets.space: gradio.update(value=None, visible=False),
    }


def _shown_if(text: str) -> Any:
    return gradio.update(value=text, visible=bool(text))
