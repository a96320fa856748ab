"""Choices of recalibration methods, without the libraries that fit them."""

from typing import Literal, get_args

Method = Literal["scale", "joint_scale", "isotonic"]
METHODS: tuple[Method, ...] = get_args(Method)
