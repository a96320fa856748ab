"""Data of other folders in the wheel, which pyproject.toml cannot name; it declares everything else."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["rlepose", "rlepose.*"]), "rlepose.configs", "rlepose.docs"],
    # Suites name the paper's numbers as ../../docs/published.md, in a checkout and in an installed package alike.
    package_dir={"rlepose.configs": "configs", "rlepose.docs": "docs"},
    package_data={
        "rlepose": ["py.typed"],
        "rlepose.configs": ["*.yaml", "*/*.yaml"],
        "rlepose.docs": ["published.md"],
    },
)
