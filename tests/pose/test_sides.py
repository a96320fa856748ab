"""Left and right in joints' names."""

import pytest

from rlepose.pose.joint_sets import KNOWN, JointSet
from rlepose.pose.sides import mirror_twins, plain_side, sided_names


@pytest.mark.parametrize(
    ("names", "twins"),
    [
        (["head", "wingL", "wingR", "forelegL4", "forelegR4", "midlegL4", "midlegR4"], [0, 2, 1, 4, 3, 6, 5]),
        (["鼻子", "左眼", "右眼", "左肩", "右肩"], [0, 2, 1, 4, 3]),
        (["RL", "RR", "FL", "FR"], [1, 0, 3, 2]),  # the rear's left is not the right's left
        (["LF", "RF", "LR", "RR"], [1, 0, 3, 2]),
        (["lefteye1", "lefteye2", "righteye2", "righteye1"], [3, 2, 1, 0]),
        (["oreille_gauche", "oreille_droite", "genou_gauche", "genou_droit"], [1, 0, 3, 2]),
        (["ojo_izquierdo", "ojo_derecho", "mano_izquierda", "mano_derecha"], [1, 0, 3, 2]),
        (["колено_левое", "колено_правое"], [1, 0]),
        (["lFrontPaw", "rFrontPaw", "lBackPaw", "rBackPaw"], [1, 0, 3, 2]),
        (["ojo_izq", "ojo_der", "mano_izq", "mano_dcha", "olho_esq", "olho_dir"], [1, 0, 3, 2, 5, 4]),
        (["knie_li", "knie_re", "occhio sin", "occhio des", "lft_hip", "rht_hip"], [1, 0, 3, 2, 5, 4]),
        (["vänster_knä", "höger_knä", "høyre_kne", "venstre_kne", "sağ_diz", "sol_diz"], [1, 0, 3, 2, 5, 4]),
        (
            ["ліве_коліно", "праве_коліно", "đầu gối trái", "đầu gối phải", "mata kiri", "mata kanan"],
            [1, 0, 3, 2, 5, 4],
        ),
        (["hoger_kna", "va\u0308nster_kna\u0308", "ひだり目", "みぎ目", "좌측눈", "우측눈"], [1, 0, 3, 2, 5, 4]),
        (["wing_port", "wing_starboard", "near_fore", "off_fore"], [1, 0, 3, 2]),
    ],
)
def test_twins_are_found_in_every_convention(names: list[str], twins: list[int]) -> None:
    assert mirror_twins(names) == twins


@pytest.mark.parametrize(
    "names",
    [
        ["cleft", "chest", "bright"],
        ["ear", "rear", "head"],
        ["L1", "L2", "L3"],
        ["lip", "rib"],
        ["1", "2"],
        ["port_a", "der_b", "off_c"],
    ],
)
def test_letters_that_spell_a_side_by_chance_are_none(names: list[str]) -> None:
    assert mirror_twins(names) == list(range(len(names)))
    assert sided_names(names) == [None] * len(names)


def test_a_side_that_two_names_claim_has_no_twin() -> None:
    assert mirror_twins(["left_hip", "l_hip", "right_hip"]) == [0, 1, 2]


def test_a_side_is_known_without_a_twin_where_a_word_says_it() -> None:
    assert plain_side("left_antenna") == ("left", ("", "antenna"))
    assert plain_side("leftantenna") is None


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.names[-1])
def test_twins_of_twins_are_the_joints_themselves(known: JointSet) -> None:
    twins = mirror_twins(known.names)
    assert [twins[twin] for twin in twins] == list(range(len(twins)))
