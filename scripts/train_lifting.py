"""Train a network that lifts 2-D joints to 3-D on Human3.6M's labels, and test it on other subjects."""

import argparse
from pathlib import Path

import torch

from rlepose.datasets.persons3d import check_subjects
from rlepose.drawn_people.people_in_space import FILES
from rlepose.errors import InputError, run_script
from rlepose.evaluation.mpjpe import error_table
from rlepose.lifting.poses import lifting_poses, read_poses
from rlepose.lifting.training import TRAINABLE, LiftingOptions, lifting_errors, save_lifting, train_lifting
from rlepose.losses.options import AnyLoss, RealNVPConfig
from rlepose.options import variants


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    folder = Path("data/synthetic_3d/h36m/annotations")
    parser.add_argument("--train", type=Path, default=folder / FILES["train"], help="labels to train on, JSON or .npz")
    parser.add_argument("--test", type=Path, default=folder / FILES["test"], help="labels to test on")
    parser.add_argument("--loss", choices=TRAINABLE, default="rle", help="what is minimised")
    parser.add_argument("--form", choices=["original", "paper"], default="original", help="of rle: docs/likelihood.md")
    parser.add_argument("--flow-base", choices=["gaussian", "laplace"], help="of rle, dle: what the flow starts as")
    parser.add_argument("--epochs", type=int, default=40, help="passes over the poses")
    parser.add_argument("--batch-size", type=int, default=256, help="poses a step")
    parser.add_argument("--lr", type=float, default=1e-3, help="learning rate at the start; it falls to 0")
    parser.add_argument("--dropout", type=float, default=0.1, help="share of hidden units set to 0 in training")
    parser.add_argument("--width", type=int, default=1024, help="hidden units")
    parser.add_argument("--seed", type=int, default=0, help="of initial weights and order")
    parser.add_argument(
        "--out", type=Path, help="file for the network; default: exp/lifting_LOSS[_paper][_BASE]_SEED.pt"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the file of an earlier run")
    parser.add_argument("--threads", type=int, default=1, help="cores to compute on")
    args = parser.parse_args()
    if args.loss != "rle" and args.form != "original":
        parser.error(f"--form: the loss {args.loss} has no forms; leave it out, or take --loss rle")
    if args.loss not in ("rle", "dle") and args.flow_base is not None:
        parser.error(f"--flow-base: the loss {args.loss} has no flow; leave it out, or take --loss rle")

    kind = [args.loss, *(["paper"] if args.form == "paper" else []), *([args.flow_base] if args.flow_base else [])]
    out = args.out or Path("exp") / f"lifting_{'_'.join(kind)}_{args.seed}.pt"
    if out.exists() and not args.overwrite:
        raise InputError(f"{out} is there from an earlier run; pass --overwrite to replace it, or --out FILE")

    torch.set_num_threads(args.threads)
    train, test = read_poses(args.train), read_poses(args.test)
    check_subjects(train, test)
    given = {"form": args.form} if args.loss == "rle" else {}
    given |= {"flow": RealNVPConfig(base=args.flow_base)} if args.flow_base is not None else {}
    loss = variants(AnyLoss)[args.loss](**given)
    options = LiftingOptions(loss, args.epochs, args.batch_size, args.lr, args.dropout, args.width, args.seed)
    network = train_lifting(lifting_poses(train), options, print)
    errors = lifting_errors(network, lifting_poses(test))
    print(error_table(errors))
    save_lifting(out, network, errors)
    print(f"network in {out}")


if __name__ == "__main__":
    run_script(main)
