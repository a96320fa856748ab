"""World, camera and pixels."""

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from rlepose.pose.camera import back_project, project, world_to_camera

FOUR_METRES = np.array([0.0, 0.0, 4000.0])  # how far the reference moves the skeleton before the camera


def camera(reference3d: Mapping[str, NDArray]) -> tuple[NDArray, ...]:
    return tuple(reference3d[f"camera/{name}"] for name in ("R", "t", "f", "c"))


def test_the_way_from_world_to_pixels_is_the_authors(reference3d: Mapping[str, NDArray]) -> None:
    rotation, position, focal, principal = camera(reference3d)
    points = world_to_camera(reference3d["camera/world"], rotation, position) + FOUR_METRES
    np.testing.assert_allclose(points, reference3d["camera/cam_plus_4m"], atol=1e-8)
    np.testing.assert_allclose(project(points, focal, principal), reference3d["camera/image"][:, :2], atol=1e-8)


def test_the_way_back_from_pixels_and_depth_is_the_authors(reference3d: Mapping[str, NDArray]) -> None:
    _, _, focal, principal = camera(reference3d)
    image = reference3d["camera/image"]
    points = back_project(image[:, :2], image[:, 2], focal, principal)
    np.testing.assert_allclose(points, reference3d["camera/cam_again"], atol=1e-7)


def test_projecting_and_back_undo_each_other_for_many_cameras_at_once() -> None:
    rng = np.random.default_rng(0)
    focal, principal = rng.uniform(500, 1500, (5, 2)), rng.normal(size=(5, 2))
    points = rng.normal(size=(5, 4, 3)) * 300 + FOUR_METRES
    again = back_project(project(points, focal, principal), points[..., 2], focal, principal)
    np.testing.assert_allclose(again, points, atol=1e-8)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_point_to_the_right_or_below_has_a_larger_pixel_coordinate(axis: int) -> None:
    points = np.zeros((2, 3)) + FOUR_METRES
    points[1, axis] += 100
    pixels = project(points, np.array([1000.0, 2000.0]), np.array([50.0, 60.0]))
    assert pixels[0].tolist() == [50, 60]
    assert (pixels[1] - pixels[0]).tolist() == [25 * (axis == 0), 50 * (axis == 1)]
