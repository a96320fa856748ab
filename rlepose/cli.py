"""The command-line program `rlepose`; the files of scripts/ run the same commands."""

import difflib
import sys
from collections.abc import Sequence
from pathlib import Path

import rlepose
from rlepose.commands import (
    compare_command,
    configs_command,
    convert_command,
    demo_web_command,
    draw_people_3d_command,
    draw_people_command,
    export_command,
    info_command,
    inspect_command,
    lift_command,
    predict_command,
    prepare_command,
    recalibrate_command,
    report_command,
    split_command,
    train_command,
    validate_command,
)
from rlepose.commands.command import Command
from rlepose.commands.output import show
from rlepose.errors import InputError, run_script
from rlepose.outputs import check_output
from rlepose.runtime.lost_processes import told_in_one_sentence

# In the order of `rlepose --help`.
COMMANDS = {
    module.COMMAND.name: module.COMMAND
    for module in (
        train_command,
        validate_command,
        predict_command,
        lift_command,
        recalibrate_command,
        export_command,
        convert_command,
        report_command,
        compare_command,
        inspect_command,
        split_command,
        prepare_command,
        draw_people_command,
        draw_people_3d_command,
        demo_web_command,
        info_command,
        configs_command,
    )
}


def main() -> None:
    """Run `rlepose` with the arguments of this process."""
    run_script(lambda: _run_program(sys.argv[1:]))


def run_as_script(name: str) -> None:
    """Run the command `name` for a file of scripts/, with the arguments of this process."""
    script = Path(sys.argv[0]).name
    run_script(lambda: _run_command(COMMANDS[name], script, f"python scripts/{script}", sys.argv[1:]))


def overview(prog: str) -> str:
    """Return the text of `rlepose --help`. prog: the program's name as the user typed it."""
    width = max(map(len, COMMANDS))
    return "\n".join(
        [
            f"usage: {prog} COMMAND …",
            "",
            rlepose.__doc__ or "",
            "",
            *(f"  {name:<{width}}  {command.summary}" for name, command in COMMANDS.items()),
            "",
            f"`{prog} COMMAND --help` shows the options of a command, `{prog} --version` the version of rlepose.",
        ]
    )


def _run_program(arguments: Sequence[str]) -> None:
    prog = "python -m rlepose" if Path(sys.argv[0]).name in ("__main__.py", Path(__file__).name) else "rlepose"
    name, *rest = arguments or ["--help"]
    if name in ("-h", "--help"):
        show(overview(prog))
    elif name == "--version":
        print(f"rlepose {rlepose.__version__}")
    elif name in COMMANDS:
        _run_command(COMMANDS[name], f"{prog} {name}", f"{prog} {name}", rest)
    else:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        fix = f"did you mean {near[0]}?" if near else f"`{prog} --help` lists the commands"
        raise InputError(f"{name}: no such command; {fix}")


def _run_command(command: Command, prog: str, typed: str, arguments: Sequence[str]) -> None:
    """Parse the arguments, check them and the outputs, then run the command.

    For prog and typed, see `Command.parser`.
    """
    parser = command.parser(prog, typed)
    args = parser.parse_args(arguments)
    command.check(parser, args)
    with told_in_one_sentence():
        for output in command.writes(args):
            check_output(output)
        code = command.run(args)
    if code:
        sys.exit(code)


if __name__ == "__main__":  # `python -m rlepose.cli`, which would otherwise do nothing without a word
    main()
