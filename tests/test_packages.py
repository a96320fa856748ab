"""How the packages depend on each other: a plain table, held by reading every import."""

import ast
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "rlepose"

# From the bottom to the top: a package imports from earlier rows, and from no others. `options` are the options.py
# of all packages, `formats` is datasets/formats. "top" holds what nothing else imports: commands and the modules at the
# package's root that start them.
FLOORS = [
    ["errors", "contents"],
    ["options", "outputs", "paths"],
    ["pose"],
    ["config"],
    ["losses"],
    ["datasets", "formats"],  # formats read files into tables, of_config chooses the format
    ["evaluation", "models"],
    ["drawing"],
    ["runtime"],
    ["export", "inference", "inspection", "study"],
    ["validation"],
    ["training"],
    ["tasks"],
    ["convert", "drawn_people", "preparation"],
    ["jobs"],
    ["comparison", "reporting", "web"],
    ["commands"],
    ["top"],
]
LARGEST_SHARE = 0.12  # of the lines of all packages


def package_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    if parts[-1] == "options":
        return "options"
    if len(parts) == 1:
        return parts[0] if parts[0] in ("errors", "contents", "outputs", "paths") else "top"
    return "formats" if parts[:2] == ("datasets", "formats") else parts[0]


def file_of(module: str) -> Path:
    """The file of a dotted module, or of the package."""
    path = PACKAGE.parent / Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def module_of(path: Path, node: ast.ImportFrom) -> str:
    """The dotted module from which a file imports, also where it counts dots."""
    above = path.relative_to(PACKAGE.parent).parts[: -node.level] if node.level else ()
    return ".".join([*above, *([node.module] if node.module else [])])


def imports() -> Iterator[tuple[Path, Path]]:
    """(file, file that it imports), for each import within the package, also where only a type checker sees it."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                module = module_of(path, node)
                inner = [f"{module}.{alias.name}" for alias in node.names]
                # The package's own names, such as Predictor, come from where it imports them when they are asked for.
                outer = "rlepose.inference" if module == "rlepose" else module
                names = [name if file_of(name).exists() else outer for name in inner]
            for name in names:
                if name.split(".")[0] == "rlepose":
                    yield path, file_of(name)


IMPORTS = list(imports())


def test_no_package_imports_one_above_it() -> None:
    floor = {package: number for number, packages in enumerate(FLOORS) for package in packages}
    up = [
        f"{path.relative_to(PACKAGE)} -> {imported.relative_to(PACKAGE)}"
        for path, imported in IMPORTS
        if imported != PACKAGE / "__init__.py" and floor[package_of(imported)] > floor[package_of(path)]
    ]
    assert up == []


def test_packages_of_one_floor_import_nothing_of_each_other() -> None:
    together = {("datasets", "formats"), ("formats", "datasets")}
    beside = {
        (package_of(path), package_of(imported))
        for packages in FLOORS
        for path, imported in IMPORTS
        if {package_of(path), package_of(imported)} <= set(packages) and package_of(path) != package_of(imported)
    }
    assert beside <= together


def test_no_file_imports_itself_by_way_of_others() -> None:
    graph = defaultdict(set)
    for path, imported in IMPORTS:
        graph[path].add(imported)
    finished: set[Path] = set()

    def visit(path: Path, above: tuple[Path, ...]) -> None:
        assert path not in above, " -> ".join(str(one.relative_to(PACKAGE)) for one in (*above, path))
        if path not in finished:
            for imported in sorted(graph[path]):
                visit(imported, (*above, path))
            finished.add(path)

    for path in list(graph):
        visit(path, ())


def test_no_package_is_larger_than_the_others_together_can_bear() -> None:
    lines: Counter[str] = Counter()
    for path in PACKAGE.rglob("*.py"):
        package = "formats" if "formats" in path.parts else path.relative_to(PACKAGE).parts[0]
        lines[package] += len(path.read_text(encoding="utf-8").splitlines())
    assert {name: count for name, count in lines.items() if count > LARGEST_SHARE * lines.total()} == {}


def test_drawn_people_are_drawn_by_their_commands_alone() -> None:
    users = {
        str(path.relative_to(PACKAGE))
        for path, imported in IMPORTS
        if package_of(imported) == "drawn_people" and package_of(path) != "drawn_people"
    }
    assert users == {"commands/draw_people_3d_command.py", "commands/draw_people_command.py"}


@pytest.mark.parametrize(("module", "most"), [("rlepose.training.trainer", 24), ("rlepose.cli", 60)])
def test_what_an_import_brings_stays_small(module: str, most: int) -> None:
    code = f"import sys, {module}; print(*[name for name in sys.modules if name.split('.')[0] == 'rlepose'])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert len(result.stdout.split()) <= most
