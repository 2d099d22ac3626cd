"""Several ranks, which torchrun starts, train one net: each reads its share of the LMDB, with a GPU of its own.

They do what one solver does whose `iter_size` is theirs times their number, with the same batches: the update is by the
mean of their gradients, clipped as the sum would be. (Caffe's own solvers of several GPUs clip the mean.)
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Protocol

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from emotiw.engine.torch.net import Net
from emotiw.errors import EmotiwError

from .updates import Update


class Shared(Protocol):
    """What a solver shows to the other ranks: `solver.Solver`, which imports this module."""

    update: Update
    together: "Alone"

    @property
    def net(self) -> Net:
        """The net that it trains."""


class Request(Enum):
    """What a user may ask for between iterations: Caffe's SolverAction. Of several the last one here counts."""

    NONE = "none"
    SNAPSHOT = "snapshot"
    STOP = "stop"


class Alone:
    """A solver by itself.

    Attributes
    ----------
    leads
        Whether it is the one that tests, writes snapshots and tells of its progress.
    """

    leads = True

    def alike(self, tensors: Sequence[Tensor], numbers: Sequence[int]) -> list[int]:
        """Give tensors the values that the leader's have, in place, and return its numbers."""
        return list(numbers)

    def passing(self, net: Net, last: bool) -> AbstractContextManager[Callable[[], Tensor]]:
        """Return what runs a net forward, for as long as the pass goes on, backward too.

        After an iteration's last pass `grad` has the mean over all solvers of what their passes added up to.
        """
        return nullcontext(net)

    def mean(self, loss: Tensor) -> Tensor:
        """Return the mean over all solvers of a scalar."""
        return loss

    def agreed(self, request: Request) -> Request:
        """Return what is to be done by all, each of which asked for something."""
        return request

    def gathered(self, data: bytes) -> list[bytes]:
        """Return what all solvers give, in the order of their ranks."""
        return [data]


_PATIENCE = timedelta(days=1)  # the others wait while the leader tests; who dies is torchrun's to see
_REQUESTS = list(Request)


@dataclass(frozen=True)
class Here:
    """One of several ranks, or the only one.

    Attributes
    ----------
    rank, count
        Which, from 0 on, and of how many: as `Sources` takes them.
    device
        Where it computes.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Return whether it is the one that tests, writes and tells."""
        return self.rank == 0

    def share(self, solver: Shared) -> None:
        """Have a solver train with those of the other ranks.

        Called once on each, with solvers of the same prototxt and, where one is restored, all. They begin with the
        weights and the history of rank 0, which alone tests, writes snapshots and calls `log` and `on_progress`; each
        draws its own dropout. The loss is the mean over ranks, as it would be over the passes of an `iter_size`; where
        one is no number, all stop at that iteration. A request on any rank is for all, after the same iteration.
        """
        if self.count > 1:
            torch.manual_seed((torch.initial_seed() + self.rank) % 2**63)
            solver.update.ranks = self.count
            solver.together = _Several(self, solver.net)


class _Several(Alone):
    """A solver among those of other ranks."""

    def __init__(self, here: Here, net: Net) -> None:
        self.leads, self._count = here.leads, here.count
        _rest_outside_the_loss(net)
        learns = any(one.blob.requires_grad for one in net.learnable)
        # `alike` sees to equal weights.
        self._all = DistributedDataParallel(net, init_sync=False) if learns else None

    def alike(self, tensors: Sequence[Tensor], numbers: Sequence[int]) -> list[int]:
        for tensor in (*tensors, told := torch.tensor(list(numbers))):
            dist.broadcast(tensor, 0)
        return told.tolist()

    @contextmanager
    def passing(self, net: Net, last: bool) -> Iterator[Callable[[], Tensor]]:
        with nullcontext() if last or self._all is None else self._all.no_sync():
            yield self._all or net

    def mean(self, loss: Tensor) -> Tensor:
        total = loss.clone()
        dist.all_reduce(total)
        return total / self._count

    def agreed(self, request: Request) -> Request:
        told = torch.tensor(_REQUESTS.index(request))  # on the CPU: no GPU waits for it
        dist.all_reduce(told, dist.ReduceOp.MAX)
        return _REQUESTS[int(told)]

    def gathered(self, data: bytes) -> list[bytes]:
        most = torch.tensor(len(data))
        dist.all_reduce(most, dist.ReduceOp.MAX)
        mine = torch.frombuffer(bytearray(data.ljust(int(most))), dtype=torch.uint8)
        all_of_them = [torch.empty_like(mine) for _ in range(self._count)]
        dist.all_gather(all_of_them, mine)
        return [one.numpy().tobytes().rstrip() for one in all_of_them]


@contextmanager
def ranks(device: torch.device | str = "cpu") -> Iterator[Here]:
    """Join the other ranks, where torchrun started this one; else be the only one.

    Of the ranks that fail, the first one raises its error, and the others end without a word (`SystemExit`).

    Parameters
    ----------
    device
        `cpu`, or `cuda` for the GPU of this rank's number in its machine.

    Raises
    ------
    EmotiwError
        If there is no such GPU, or another rank is gone that said nothing.
    """
    rank, count, local = (_told(name) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    here = Here(rank or 0, count or 1, _device_of(torch.device(device), local))
    if here.count == 1:
        yield here
        return
    store = _join(here)
    try:
        yield here
    except Exception as error:
        if not _is_first(store):
            raise SystemExit(1) from None
        if isinstance(error, EmotiwError) or not _is_loss_of_another(error):
            raise
        raise EmotiwError(
            f"rank {rank} lost another one, which ended without a word: was it killed, or was memory short?"
        ) from None
    dist.destroy_process_group()


def _told(name: str) -> int | None:
    """Return a number of torchrun's environment."""
    value = os.environ.get(name)
    if value is not None and not value.isdecimal():
        raise EmotiwError(f"{name} is {value!r} in the environment: torchrun sets it to a number; unset it")
    return None if value is None else int(value)


def _device_of(device: torch.device, local: int | None) -> torch.device:
    """Return where a rank computes; its GPU is the one that torch takes from now on where none is named."""
    if device.type != "cuda" or local is None:
        return device
    if local >= (found := torch.cuda.device_count()):
        raise EmotiwError(f"there are {found} GPUs for more ranks: name as many to torchrun, --nproc-per-node {found}")
    torch.cuda.set_device(local)
    return torch.device("cuda", local)


def _join(here: Here) -> Store:
    """Wait for the other ranks; return what all of them may write to."""
    if os.environ.get("LOCAL_WORLD_SIZE") == str(here.count) and Path("/sys/class/net/lo").is_dir():
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # all are here: nothing leaves this machine
    store: Store
    store, rank, count = next(rendezvous("env://"))
    backend = "gloo" if here.device.type == "cpu" else "cpu:gloo,cuda:nccl"
    group = PrefixStore("group", store)
    dist.init_process_group(backend, store=group, rank=rank, world_size=count, timeout=_PATIENCE)
    return store


def _is_first(store: Store) -> bool:
    """Return whether no other rank has failed before."""
    try:
        return int(store.add("failed", 1)) == 1
    except dist.DistError:  # the store is gone, with another rank
        return False


def _is_loss_of_another(error: Exception) -> bool:
    """Return whether it tells that a connection broke; gloo has no error of its own for that."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error).lower())


def _rest_outside_the_loss(net: Net) -> None:
    """Ask no gradients for blobs that have no part in the loss: the others would wait for them; Caffe's are zero."""
    needed: set[str] = set()
    learning: set[int] = set()
    for layer in reversed(net.layers):
        tops = set(layer.param.top)
        if any(layer.loss_weights) or tops & needed:
            learning |= {id(blob) for blob in layer.blobs}
            bottoms = {name for name, goes in zip(layer.param.bottom, layer.propagates, strict=True) if goes}
            needed = (needed - tops) | bottoms
    for one in net.learnable:
        if id(one.blob) not in learning:
            one.blob.requires_grad_(False)
