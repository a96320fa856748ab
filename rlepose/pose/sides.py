"""Left and right in joints' names.

Four conventions are recognised, each only where an earlier one finds no side:

1. a word for a side, or l or r, set off by a separator or a capital (`left_knee`, `KneeRight`, `L-Knee`, `左肩`), in
   English, German, French, Spanish, Italian, Portuguese, Dutch, Polish, Russian, Chinese, Japanese and Korean;
2. a word that means a side among other things, and words of further languages: `ojo_izq` and `ojo_der`, `sol_diz` and
   `sağ_diz`, `wing_port` and `wing_starboard`;
3. a word of 1 of at least four letters at either end of another: `kneeleft`, `lefteye`;
4. the letter l or r at either end of a word, or before a number: `lknee`, `hipl`, `FL` and `FR`, `legL4` and `legR4`.

A name of convention 2, 3 or 4 has a side only beside a name of the other side: `airport`, `cleft`, `ear` and the
vertebra `L4` have none. Accents do not matter.
"""

import itertools
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Literal, NamedTuple

Side = Literal["left", "right"]

_LEFT = (
    "left l lft links linke linker linkes gauche izquierda izquierdo izq sinistra sinistro sinister sx esquerda "
    "esquerdo linkerkant lewa lewy lewe levyy levaya левый левая левое лев 左 왼쪽 왼"
)
_RIGHT = (
    "right r rgt rechts rechte rechter rechtes droit droite derecha derecho destra destro dexter dx direita direito "
    "rechterkant prawa prawy prawe pravyy pravaya правый правая правое прав 右 오른쪽 오른"
)
# Abbreviations (Spanish, Portuguese, German, Italian), ships and horses, and words in Swedish, Danish, Norwegian,
# Finnish, Czech, Slovak, Croatian, Serbian, Ukrainian, Hungarian, Romanian, Greek, Turkish, Indonesian, Vietnamese,
# Arabic, Hebrew, Japanese and Korean.
_LEFT_BESIDE_RIGHT = (
    "izq izda izdo izqda izqdo esq li sin port near vänster vänstra venstre vasen levý levá levé ľavý ľavá ľavé lijevi "
    "lijeva lijevo levi leva levo лівий ліва ліве bal stâng stânga stângă αριστερό αριστερός αριστερή sol kiri trái "
    "يسار اليسار يسرى اليسرى أيسر الأيسر שמאל ひだり 좌측"
)
_RIGHT_BESIDE_LEFT = (
    "der dcha dcho drcha drcho dir re des rht starboard off höger högra højre høyre hojre hoyre oikea pravý "
    "pravá pravé desni desna desno правий права праве jobb drept dreapta dreaptă δεξί δεξιός δεξιά sağ kanan phải "
    "يمين اليمين يمنى اليمنى أيمن الأيمن ימין みぎ 우측"
)
# Scripts that write words without a space between.
_UNSPACED = re.compile("(左|右|왼쪽|왼|오른쪽|오른|좌측|우측|ひだり|みぎ)")


def _plain(word: str) -> str:
    """The word without accents."""
    return "".join(sign for sign in unicodedata.normalize("NFKD", word) if not unicodedata.combining(sign))


def _by_word(left: str, right: str) -> dict[str, Side]:
    sides: dict[str, Side] = {_plain(word): "left" for word in left.split()}
    return sides | {_plain(word): "right" for word in right.split()}


_SIDE_OF_WORD = _by_word(_LEFT, _RIGHT)
_SIDE_BESIDE_OTHER = _SIDE_OF_WORD | _by_word(_LEFT_BESIDE_RIGHT, _RIGHT_BESIDE_LEFT)
_LONG = [word for word in _SIDE_OF_WORD if len(word) >= 4]
_LETTERS = ["l", "r"]
_DIGITS = "0123456789"
_OTHER: dict[Side, Side] = {"left": "right", "right": "left"}


class SidedName(NamedTuple):
    """A joint's name as a side and the rest: its words, with an empty one where the side stood."""

    side: Side
    stem: tuple[str, ...]


def words_of(name: str) -> tuple[str, ...]:
    """Lower-case words of a name.

    >>> words_of("LeftKnee"), words_of("L-Knee"), words_of("左肩")
    (('left', 'knee'), ('l', 'knee'), ('左', '肩'))
    """
    name = _UNSPACED.sub(r"_\1_", unicodedata.normalize("NFC", name))
    name = re.sub(r"([^\W\d_A-Z]|\d)([A-Z])|([A-Z])(?=[A-Z][a-z])", r"\1\3_\2", name)
    return tuple(word for word in re.split(r"[\W_]+", name.lower()) if word)


def plain_side(name: str) -> SidedName | None:
    """The side that a word of the name says (convention 1), or None.

    >>> plain_side("left_knee")
    SidedName(side='left', stem=('', 'knee'))
    """
    return _side_of_words(name, _SIDE_OF_WORD)


def _side_of_words(name: str, side_of_word: Mapping[str, Side]) -> SidedName | None:
    found: list[Side] = []
    stem = []
    for word in map(_plain, words_of(name)):
        letters = word.rstrip(_DIGITS)
        side = None if letters in _LETTERS and letters != word else side_of_word.get(letters)
        stem.append(word if side is None else word[len(letters) :])
        if side is not None:
            found.append(side)
    return SidedName(found[0], tuple(stem)) if found else None


def sided_names(names: Sequence[str]) -> list[SidedName | None]:
    """Each joint's side and stem, None for a joint in the middle. See the module for what is recognised."""
    sided = [plain_side(name) for name in names]
    for convention in (
        _ambiguous_side,
        partial(_glued_sides, side_words=_LONG),
        partial(_glued_sides, side_words=_LETTERS),
    ):
        candidates = {i: list(convention(names[i])) for i, found in enumerate(sided) if found is None}
        holders: dict[SidedName, set[int]] = defaultdict(set)
        for i, known in enumerate(sided):
            if known is not None:
                holders[known].add(i)
        for i, of_name in candidates.items():
            for candidate in of_name:
                holders[candidate].add(i)
        for i, of_name in candidates.items():
            with_twin = [c for c in of_name if holders.get(SidedName(_OTHER[c.side], c.stem), set()) - {i}]
            if len(with_twin) == 1:
                sided[i] = with_twin[0]
    return sided


def _ambiguous_side(name: str) -> Iterator[SidedName]:
    """What the name says if an ambiguous word in it means a side."""
    found = _side_of_words(name, _SIDE_BESIDE_OTHER)
    if found is not None:
        yield found


def _glued_sides(name: str, side_words: Sequence[str]) -> Iterator[SidedName]:
    """What the name says if one of these words begins or ends one of its words."""
    words = tuple(map(_plain, words_of(name)))
    for number, word in enumerate(words):
        letters = word.rstrip(_DIGITS)
        for side_word in side_words:
            for rest in _rests(letters, side_word):
                stem = (*words[:number], rest, word[len(letters) :], *words[number + 1 :])
                yield SidedName(_SIDE_OF_WORD[side_word], stem)


def _rests(word: str, side_word: str) -> Iterator[str]:
    """The word without the side word at its beginning, and at its end, with a dash where the side word stood."""
    if word == side_word:
        yield ""
        return
    if word.startswith(side_word):
        yield f"-{word.removeprefix(side_word)}"
    if word.endswith(side_word):
        yield f"{word.removesuffix(side_word)}-"


def mirror_twins(names: Sequence[str]) -> list[int]:
    """Index of each joint's mirror twin, its own for a joint without: (K,).

    >>> mirror_twins(["nose", "FL", "FR", "kneeleft", "kneeright"])
    [0, 2, 1, 4, 3]
    """
    index_of: dict[SidedName, list[int]] = defaultdict(list)
    sided = sided_names(names)
    for index, name in enumerate(sided):
        if name is not None:
            index_of[name].append(index)
    twins = list(range(len(names)))
    for index, name in enumerate(sided):
        if name is not None:
            own, others = index_of[name], index_of.get(SidedName(_OTHER[name.side], name.stem), [])
            if len(own) == len(others) == 1:
                twins[index] = others[0]
    return twins


def possible_twins(names: Sequence[str]) -> list[str]:
    """Names without a twin that differ from another one only in a number, or in a word of one letter; and where both
    sides are named without a twin, these.

    >>> possible_twins(["nose", "eye1", "eye2", "oeil_g", "oeil_d", "tail"])
    ['eye1', 'eye2', 'oeil_g', 'oeil_d']
    >>> possible_twins(["nose", "left_eye", "rigth_eye", "right_ear"])
    ['left_eye', 'right_ear']
    """
    twins, sided = mirror_twins(names), sided_names(names)
    single = [i for i, twin in enumerate(twins) if twin == i]
    alike: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for i in single:
        for pattern in {_without(names[i], r"\d+"), _without(names[i], r"(?<![^\W_])[^\W\d_](?![^\W\d_])")}:
            alike[pattern].append(i)
    found = set(itertools.chain(*(group for group in alike.values() if len(group) > 1)))
    side_of = {i: known.side for i in single if (known := sided[i]) is not None}
    if len(set(side_of.values())) == 2:
        found |= side_of.keys()
    return [names[i] for i in sorted(found)]


def _without(name: str, pattern: str) -> tuple[str, ...]:
    return tuple(re.sub(pattern, "#", word) for word in words_of(name))
