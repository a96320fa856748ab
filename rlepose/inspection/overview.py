"""Statistics of a keypoint file."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rlepose.datasets.category_groups import category_oks_sigmas
from rlepose.datasets.formats.coco_file import CocoFile
from rlepose.datasets.persons import PersonTable, counted
from rlepose.pose.skeleton import Skeleton


def overview(coco: CocoFile, table: PersonTable, skeleton: Skeleton) -> dict[str, Any]:
    """Return category, pictures, persons and boxes of a file, in plain types for JSON.

    table: the persons that training uses. Quartiles are [minimum, lower quartile, median, upper quartile, maximum].
    """
    names, known = skeleton.names, category_oks_sigmas(coco.category)
    sizes, boxes, persons = table.image_size_wh, table.bbox_xywh, set(table.person_ids.tolist())
    return {
        "file": str(coco.path),
        "category": coco.category["name"],
        "joints": {
            name: {
                "labelled": round(float((table.visible[:, k] > 0).mean()), 4),
                "visible": round(float((table.visible[:, k] == 2).mean()), 4),
                "oks_sigma": skeleton.oks_sigmas[k],
            }
            for k, name in enumerate(names)
        },
        "pairs": [[names[i], names[j]] for i, j in skeleton.flip_pairs],
        "without_twin": list(dict.fromkeys(skeleton.without_twin + skeleton.possible_twins)),
        "unknown_oks_sigmas": [name for name, sigma in zip(names, known, strict=True) if sigma is None],
        "bones": [[names[i], names[j]] for i, j in skeleton.bones],
        "pictures": len(sizes),
        "pictures_without_persons": len(sizes) - len(np.unique(table.image_index)),
        "picture_width_px": _quartiles(sizes[:, 0]),
        "picture_height_px": _quartiles(sizes[:, 1]),
        "annotations": len(table) + sum(table.left_out.values()),
        "persons": len(table),
        "left_out": dict(table.left_out),
        "without_area": sum(not (a.get("area") or 0) > 0 for a in coco.annotations if a["id"] in persons),
        "persons_a_picture": _quartiles(np.unique(table.image_index, return_counts=True)[1]),
        "joints_a_person": _quartiles((table.visible > 0).sum(axis=1)),
        "box_width_px": _quartiles(boxes[:, 2]),
        "box_height_px": _quartiles(boxes[:, 3]),
        "box_width_to_height": _quartiles(boxes[:, 2] / boxes[:, 3]),
    }


def format_overview(report: dict[str, Any]) -> str:
    """Format the statistics as text, one subject per line."""
    name = report["category"]
    category = name if isinstance(name, str) else " + ".join(name)
    lines = [
        f"category        {category}, {len(report['joints'])} joints, {len(report['bones'])} bones",
        "pairs           " + (", ".join(f"{i} – {j}" for i, j in report["pairs"]) or "none"),
    ]
    if report["without_twin"]:
        lines.append(f"without twin    {', '.join(report['without_twin'])}: mirrored pictures train them wrongly")
    if report["unknown_oks_sigmas"]:
        lines.append(f"OKS sigmas      unknown for {', '.join(report['unknown_oks_sigmas'])}")
    lines += [
        f"pictures        {report['pictures']}, {report['pictures_without_persons']} without persons",
        f"persons         {report['persons']} of {report['annotations']} annotations",
        f"left out        {counted(report['left_out'])}",
        *(
            [f"areas           of {report['without_area']} persons missing or 0: their box's is taken"]
            if report["without_area"]
            else []
        ),
        "                            least  quartile    median  quartile      most",
    ]
    for name, unit in (
        ("picture_width_px", "picture width, px"),
        ("picture_height_px", "picture height, px"),
        ("persons_a_picture", "persons per picture"),
        ("joints_a_person", "joints per person"),
        ("box_width_px", "box width, px"),
        ("box_height_px", "box height, px"),
        ("box_width_to_height", "box width / height"),
    ):
        lines.append(f"  {unit:<22}" + "".join(f"{value:10.4g}" for value in report[name]))
    width = max(map(len, report["joints"]))
    lines.append(f"  {'joint':<{width}}  labelled   visible  OKS sigma")
    for name, joint in report["joints"].items():
        lines.append(f"  {name:<{width}}  {joint['labelled']:8.1%}  {joint['visible']:8.1%}  {joint['oks_sigma']:9.4f}")
    return "\n".join(lines)


def _quartiles(values: NDArray[Any]) -> list[float]:
    if not len(values):
        return [0.0] * 5
    return [round(float(value), 4) for value in np.quantile(values, (0, 0.25, 0.5, 0.75, 1))]
