"""Everything is declared in pyproject.toml; the dependencies are read from requirements.txt."""

from setuptools import setup

setup()
