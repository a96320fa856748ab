"""What the tests of prediction have."""

from tests.inference.conftest import checkpoint

__all__ = ["checkpoint"]
