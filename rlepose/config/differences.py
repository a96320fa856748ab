"""In what two configs differ."""

from typing import Any

from rlepose.config.config import option_names, option_value


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """'train.epochs: 20 -> 30' for each option that differs between two configs' trees."""
    values = ((name, option_value(old, name), option_value(new, name)) for name in option_names())
    return [f"{name}: {before} -> {now}" for name, before, now in values if before != now]
