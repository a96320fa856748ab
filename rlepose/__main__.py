"""`python -m rlepose`, for `torchrun -m rlepose` and environments whose programs are not on the path."""

from rlepose.cli import main

if __name__ == "__main__":
    main()
