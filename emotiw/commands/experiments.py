"""The verb `experiments`.

The shipped table has a line for each row: net, representation, and the solver settings of both stages that differ
from the net's committed solver. Save it, edit it, and pass it to `emotiw reproduce --experiments` or, for one stage
of one row, to `emotiw pretrain` and `emotiw finetune`.

A table of your own needs the columns net and representation. The columns pretrain and finetune hold solver settings,
as for --solver, and may be empty. Optional columns are `name` (of the run, so that one net and representation can
have several lines), `epochs` and `seed`.
"""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `emotiw experiments`."""
    parser.add_argument("net", nargs="*", metavar="NET", help="print only these nets (default: all)")
    parser.add_argument(
        "--nets",
        action="store_true",
        help="print the nets instead: parameters, input and image size, batch size, iterations and base_lr",
    )


def run(args: argparse.Namespace) -> None:
    """Print the table, or the nets."""
    from emotiw.errors import UsageError
    from emotiw.prototxt.zoo.nets import NETS

    if strangers := [net for net in args.net if net not in NETS]:
        raise UsageError(f"there is no net {strangers[0]!r}: name one of {', '.join(NETS)}")
    chosen = args.net or list(NETS)
    print(_nets(chosen) if args.nets else _rows(chosen))


def _rows(chosen: list[str]) -> str:
    """Return the lines of the shipped table for these nets."""
    from emotiw.train.experiments import experiments, shipped_table

    head, *lines = shipped_table().splitlines()
    return "\n".join([head, *(line for line in lines if experiments()[line.partition(",")[0]].net in chosen)])


def _nets(chosen: list[str]) -> str:
    from tabulate import tabulate

    from emotiw.prototxt.shapes import parameters, shapes
    from emotiw.prototxt.surgery import batch_size, crop_size, set_size
    from emotiw.train.experiments import like
    from emotiw.train.run_folder import STAGES

    lines = []
    for net in chosen:
        row = like(net)
        nets, solvers = [row.train_val(stage) for stage in STAGES], [row.solver(stage) for stage in STAGES]
        lines.append(
            [
                net,
                f"{parameters(shapes(nets[1])[1]):,}",
                f"{crop_size(nets[1])} of {set_size(nets[1])}",
                *(
                    f"{batch_size(train_val) * solver.iter_size} x {solver.max_iter:,} at {solver.base_lr:g}"
                    for train_val, solver in zip(nets, solvers, strict=True)
                ),
            ]
        )
    head = ["net", "parameters", "pixels", *(f"{stage}: batch x iterations at base_lr" for stage in STAGES)]
    return tabulate(lines, head, "github", disable_numparse=True)
