"""`rlepose lift`."""

import argparse

from rlepose.commands.arguments import a_path, add_checkpoint, add_device, add_overrides
from rlepose.commands.command import Command
from rlepose.outputs import Output


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_checkpoint(parser)
    parser.add_argument("--poses", required=True, type=a_path, help="JSON list of poses in COCO's results format")
    parser.add_argument("--out", required=True, type=a_path, help="JSON file to write")
    parser.add_argument(
        "--focal",
        nargs="+",
        type=float,
        metavar="PX",
        help="focal length, px: one number, or x and y; default: the mean of Human3.6M's cameras, 1147 1146",
    )
    parser.add_argument(
        "--principal",
        nargs=2,
        type=float,
        metavar=("X", "Y"),
        help="principal point, px; default: the mean of Human3.6M's cameras, 514 507",
    )
    add_device(parser)
    add_overrides(parser)


def _check(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    if args.focal is not None and len(args.focal) > 2:
        parser.error(f"--focal: expected one or two numbers, got {len(args.focal)}")


def _writes(args: argparse.Namespace) -> list[Output]:
    return [Output(args.out, "--out FILE", is_folder=False)]


def _run(args: argparse.Namespace) -> None:
    from rlepose.inference.lifter import H36M_FOCAL, H36M_PRINCIPAL, Lifter
    from rlepose.jobs.lift import lift_file
    from rlepose.runtime.run_log import setup_logging

    setup_logging(is_main=True)
    lifter = Lifter(args.checkpoint, args.device, args.set)
    lift_file(lifter, args.poses, args.out, args.focal or H36M_FOCAL, args.principal or H36M_PRINCIPAL)


COMMAND = Command(
    name="lift",
    summary="Lift 2-D poses from a file to 3-D",
    example="--checkpoint exp/NAME/checkpoints/best.pt --poses results.json --out lifted.json",
    details="""\
Reads the output of `rlepose predict` with a model of Human3.6M's joints, or any list in that format, and needs a
checkpoint of a config with model.name=lifting. All poses must come from one camera. For an uncalibrated camera, use
about 1.2 times the longer side of the image as the focal length and the image centre as the principal point
(docs/pose3d.md).
""",
    add_arguments=_add_arguments,
    check=_check,
    run=_run,
    writes=_writes,
)
