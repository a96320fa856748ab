"""Convert a raw YAML value to the type of its option."""

import types
import typing
from collections.abc import Mapping
from typing import Any, Literal, Union

from rlepose.options import SectionField


def converted(value: Any, option: SectionField) -> Any:
    """Return the value in the type of its option; ValueError, with the expected value, if it is out of range."""
    result = _as_type(value, option.hint)
    _check_range(result, option.item.metadata)
    return result


def _as_type(value: Any, hint: Any) -> Any:
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None:
            return None
        return _as_one_of(value, [argument for argument in arguments if argument is not type(None)])
    if origin is Literal:
        if value not in arguments:
            raise ValueError("one of " + ", ".join(map(str, arguments)))
        return value
    if origin is tuple:
        return _as_tuple(value, arguments)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ValueError("a mapping {name: value}")
        if any(item is None and ":" in str(key) for key, item in value.items()):  # as YAML reads {name:value}
            raise ValueError("a mapping {name: value}, with a space after the colon")
        return {key: item if arguments[1] is Any else _as_type(item, arguments[1]) for key, item in value.items()}
    if hint is float:
        return _number(value)
    if hint is int:
        # bool is an int to Python, and 20.0 is a whole number to the user
        if isinstance(value, bool) or not isinstance(value, int | float) or value % 1 != 0:
            raise ValueError("a whole number")
        return int(value)
    if not isinstance(value, hint):
        raise ValueError({bool: "true or false", str: "text"}[hint])
    return value


def _as_one_of(value: Any, hints: list[Any]) -> Any:
    problems = []
    for hint in hints:
        try:
            return _as_type(value, hint)
        except ValueError as error:
            problems.append(str(error))
    raise ValueError(" or ".join(problems))


def _as_tuple(value: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError("a list")
    if arguments[-1] is Ellipsis:
        return tuple(_as_type(item, arguments[0]) for item in value)
    if len(value) != len(arguments):
        raise ValueError(f"a list of {len(arguments)} values")
    return tuple(_as_type(item, argument) for item, argument in zip(value, arguments, strict=True))


def _number(value: Any) -> float:
    # YAML 1.1 reads 1e-3, without a dot, as text; accept it as a number.
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("a number")
    try:
        number = float(value)
    except ValueError:
        raise ValueError("a number") from None
    if number != number or number in (float("inf"), float("-inf")):
        raise ValueError("a finite number")
    return number


def _check_range(value: Any, metadata: Mapping[str, Any]) -> None:
    numbers = value if isinstance(value, tuple) else value.values() if isinstance(value, dict) else (value,)
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int | float):
            continue
        low, high, above = (metadata.get(name) for name in ("low", "high", "above"))
        if low is not None and number < low:
            raise ValueError(f"at least {low}")
        if above is not None and number <= above:
            raise ValueError(f"more than {above}")
        if high is not None and number > high:
            raise ValueError(f"at most {high}")
