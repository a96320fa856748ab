"""Left and right in joints' names.

Three conventions are recognised, each only where an earlier one finds no side:

1. a word for a side, or l or r, set off by a separator or a capital (`left_knee`, `KneeRight`, `L-Knee`, `左肩`), in
   English, German, French, Spanish, Italian, Portuguese, Dutch, Polish, Russian, Chinese, Japanese and Korean;
2. such a word of at least four letters at either end of another: `kneeleft`, `lefteye`;
3. the letter l or r at either end of a word, or before a number: `lknee`, `hipl`, `FL` and `FR`, `legL4` and `legR4`.

A name of convention 2 or 3 has a side only beside a name of the other side: `cleft`, `ear` and the vertebra `L4` have
none.
"""

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
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
_SIDE_OF_WORD: dict[str, Side] = {
    **dict.fromkeys(_LEFT.split(), "left"),
    **dict.fromkeys(_RIGHT.split(), "right"),
}
# Scripts that write words without a space between.
_UNSPACED = re.compile("(左|右|왼쪽|왼|오른쪽|오른)")
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
    name = _UNSPACED.sub(r"_\1_", name)
    name = re.sub(r"([^\W\d_A-Z]|\d)([A-Z])|([A-Z])(?=[A-Z][a-z])", r"\1\3_\2", name)
    return tuple(word for word in re.split(r"[\W_]+", name.lower()) if word)


def plain_side(name: str) -> SidedName | None:
    """The side that a word of the name says (convention 1), or None.

    >>> plain_side("left_knee")
    SidedName(side='left', stem=('', 'knee'))
    """
    found: list[Side] = []
    stem = []
    for word in words_of(name):
        letters = word.rstrip(_DIGITS)
        side = None if letters in _LETTERS and letters != word else _SIDE_OF_WORD.get(letters)
        stem.append(word if side is None else word[len(letters) :])
        if side is not None:
            found.append(side)
    return SidedName(found[0], tuple(stem)) if found else None


def sided_names(names: Sequence[str]) -> list[SidedName | None]:
    """Each joint's side and stem, None for a joint in the middle. See the module for what is recognised."""
    sided = [plain_side(name) for name in names]
    for side_words in (_LONG, _LETTERS):
        open_names = [i for i, found in enumerate(sided) if found is None]
        candidates = {i: list(_glued_sides(names[i], side_words)) for i in open_names}
        holders: dict[SidedName, set[int]] = defaultdict(set)
        for i, of_name in candidates.items():
            for candidate in of_name:
                holders[candidate].add(i)
        for i, of_name in candidates.items():
            with_twin = [c for c in of_name if holders.get(SidedName(_OTHER[c.side], c.stem), set()) - {i}]
            if len(with_twin) == 1:
                sided[i] = with_twin[0]
    return sided


def _glued_sides(name: str, side_words: Sequence[str]) -> Iterator[SidedName]:
    """What the name says if one of these words begins or ends one of its words."""
    words = words_of(name)
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
    """Names in the middle that differ from another one only in a number, or in a word of one letter.

    >>> possible_twins(["nose", "eye1", "eye2", "oeil_g", "oeil_d", "tail"])
    ['eye1', 'eye2', 'oeil_g', 'oeil_d']
    """
    twins, sided = mirror_twins(names), sided_names(names)
    middle = [i for i, twin in enumerate(twins) if twin == i and sided[i] is None]
    alike: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for i in middle:
        for pattern in {_without(names[i], r"\d+"), _without(names[i], r"(?<![^\W_])[^\W\d_](?![^\W\d_])")}:
            alike[pattern].append(i)
    found = set(itertools.chain(*(group for group in alike.values() if len(group) > 1)))
    return [names[i] for i in sorted(found)]


def _without(name: str, pattern: str) -> tuple[str, ...]:
    return tuple(re.sub(pattern, "#", word) for word in words_of(name))
