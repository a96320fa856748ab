"""Persons with depth, and others behind them who have none."""

from pathlib import Path

import numpy as np
import pytest

from rlepose.datasets.formats.h36m import persons_from_h36m
from rlepose.datasets.formats.mpii import persons_as_h36m
from rlepose.datasets.images import ImageFiles
from rlepose.datasets.persons3d import Person3DTable, check_subjects, with_2d_persons
from rlepose.drawn_people.people_in_space import FILES, MPII_FILE, SIDE
from rlepose.errors import InputError
from rlepose.pose.skeleton import H36M_ROOT


@pytest.fixture(scope="module")
def test_persons(synthetic_3d: Path) -> Person3DTable:
    return persons_from_h36m(synthetic_3d / "h36m/annotations" / FILES["test"], synthetic_3d / "h36m/images")


@pytest.fixture(scope="module")
def together(test_persons: Person3DTable, synthetic_3d: Path) -> Person3DTable:
    extra = persons_as_h36m(synthetic_3d / "mpii/annotations" / MPII_FILE, synthetic_3d / "mpii/images")
    return with_2d_persons(test_persons, extra)


def test_everybody_keeps_the_own_picture(together: Person3DTable, synthetic_3d: Path) -> None:
    assert together.with_pictures("error") is together
    assert together.num_with_depth == 64 and len(together) == 74
    assert together.image_path(63).parent.parent == synthetic_3d / "h36m/images"
    assert together.image_path(64) == synthetic_3d / "mpii/images/000000001.jpg"
    assert ImageFiles(together).view(70).pixels.shape == (SIDE, SIDE, 3)
    assert len(set(together.person_image_ids().tolist())) == 74


def test_labels_in_space_stay_and_others_are_unknown(together: Person3DTable, test_persons: Person3DTable) -> None:
    np.testing.assert_array_equal(together.joints_mm()[:64], test_persons.joints_mm())
    assert np.isnan(together.depth[64:]).all() and (together.visible[64:] > 0).any(axis=0).sum() == 16
    assert (together.subject[64:] == -1).all()
    assert (together.depth[:64, H36M_ROOT] == 0).all()


def test_the_people_to_test_on_are_found_among_those_with_depth(
    together: Person3DTable, test_persons: Person3DTable
) -> None:
    with pytest.raises(InputError, match=r"data\.train_annotations contains subjects 9, 11"):
        check_subjects(together, test_persons)
