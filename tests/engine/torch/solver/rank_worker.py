"""One rank of several, as torchrun starts it: `rank_worker.py FOLDER PLAN [SOLVERSTATE]` trains FOLDER/solver.prototxt.

PLAN selects the events on the way. The log goes to FOLDER/log<rank>, the final state to FOLDER/rank<rank>.npz.
"""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch

from emotiw.engine.torch.data.lmdb_source import Sources
from emotiw.engine.torch.solver.distributed import Request, ranks
from emotiw.engine.torch.solver.solver import Solver
from emotiw.engine.torch.solver.solver_param import read_solver
from emotiw.errors import EmotiwError


def at_3(solver, act):
    solver.on_start.append(lambda: act() if solver.iteration == 3 else None)


def fail(here, solver):
    raise EmotiwError(f"rank {here.rank}: the disk is full")


PLANS = {
    "train": lambda here, solver: None,
    "nan": lambda here, solver: solver.net.params["fc"][0].data.fill_(float("nan")),
    "fail": fail,
    "killed": lambda here, solver: os.kill(os.getpid(), signal.SIGKILL),
    "stop": lambda here, solver: setattr(solver, "request", lambda: Request.STOP),
    "snapshot": lambda here, solver: setattr(
        solver, "request", iter([Request.SNAPSHOT, *[Request.NONE] * 99]).__next__
    ),
}


def main(folder, plan, *resume):
    torch.set_num_threads(1)
    what, _, rank = plan.partition("@")
    with ranks("cpu") as here, Sources(folder, here.device, 0, here.rank, here.count) as sources:
        with (folder / f"log{here.rank}").open("w") as log:
            solver = Solver(read_solver(Path("solver.prototxt"), folder), folder, sources, here.device)
            solver.log = lambda line: print(line, file=log, flush=True)
            if here.rank:  # as on a machine on which nothing is equal by chance
                for one in solver.net.learnable:
                    one.blob.data.add_(1)
            here.share(solver)
            if rank in ("", str(here.rank)):
                at_3(solver, lambda: PLANS[what](here, solver))
            solver.solve(*map(Path, resume))
        kept = {f"kept{k}": tensor.numpy() for k, tensor in enumerate(solver.update.kept)}
        draw = torch.rand(3).numpy()
        np.savez(folder / f"rank{here.rank}.npz", iteration=solver.iteration, draw=draw, **kept)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), *sys.argv[2:])
    except EmotiwError as error:
        print(f"emotiw: {error}", file=sys.stderr)
        sys.exit(1)
