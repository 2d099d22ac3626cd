"""Data-parallel training: ranks started by torchrun train one net, each on its share of the LMDB and its own GPU.

The result equals that of one solver with `iter_size` multiplied by the number of ranks, on the same batches: the update
uses the mean of their gradients, clipped as the sum would be. (Caffe's own multi-GPU solvers clip the mean.)
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
    """The part of `solver.Solver`, which imports this module, that is used here."""

    update: Update
    together: "Alone"

    @property
    def net(self) -> Net:
        """The net in training."""


class Request(Enum):
    """A user's request between iterations: Caffe's SolverAction. If ranks differ, the last in this order wins."""

    NONE = "none"
    SNAPSHOT = "snapshot"
    STOP = "stop"


class Alone:
    """Collective operations, single-process version.

    Attributes
    ----------
    leads
        Whether this rank tests, writes snapshots and reports progress.
    """

    leads = True

    def alike(self, tensors: Sequence[Tensor], numbers: Sequence[int]) -> list[int]:
        """Broadcast the leader's tensors, in place, and return its numbers."""
        return list(numbers)

    def passing(self, net: Net, last: bool) -> AbstractContextManager[Callable[[], Tensor]]:
        """Return a context that gives the function for a forward pass; run the backward pass in it, too.

        After an iteration's last pass `grad` is the mean over all ranks of their accumulated gradients.
        """
        return nullcontext(net)

    def mean(self, loss: Tensor) -> Tensor:
        """Return the mean of a scalar over all ranks."""
        return loss

    def agreed(self, request: Request) -> Request:
        """Return one request for all ranks, given each rank's own."""
        return request

    def gathered(self, data: bytes) -> list[bytes]:
        """Return the data of all ranks, in the order of their ranks."""
        return [data]


_PATIENCE = timedelta(days=1)  # the others wait while the leader tests; torchrun notices dead ranks
_REQUESTS = list(Request)


@dataclass(frozen=True)
class Here:
    """The rank of this process: one of several, or the only one.

    Attributes
    ----------
    rank, count
        Its number, from 0, and the number of ranks, as for `Sources`.
    device
        The device to compute on.
    """

    rank: int
    count: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Return whether this rank tests, writes snapshots and reports."""
        return self.rank == 0

    def share(self, solver: Shared) -> None:
        """Connect a solver with those of the other ranks.

        Call it once on each rank, with solvers of the same prototxt; if one is restored, all must be. They begin with
        the weights and the history of rank 0, which alone tests, writes snapshots and calls `log` and `on_progress`;
        each draws its own dropout. The loss is the mean over ranks, as it would be over the passes of an `iter_size`;
        if one is not finite, all stop at that iteration. A request on any rank applies to all, after the same
        iteration.
        """
        if self.count > 1:
            torch.manual_seed((torch.initial_seed() + self.rank) % 2**63)
            solver.update.ranks = self.count
            solver.together = _Several(self, solver.net)


class _Several(Alone):
    """Collective operations over several ranks."""

    def __init__(self, here: Here, net: Net) -> None:
        self.leads, self._count = here.leads, here.count
        _rest_outside_the_loss(net)
        learns = any(one.blob.requires_grad for one in net.learnable)
        # `alike` makes the weights equal.
        self._all = DistributedDataParallel(net, init_sync=False) if learns else None

    def alike(self, tensors: Sequence[Tensor], numbers: Sequence[int]) -> list[int]:
        for tensor in (*tensors, leader := torch.tensor(list(numbers))):
            dist.broadcast(tensor, 0)
        return leader.tolist()

    @contextmanager
    def passing(self, net: Net, last: bool) -> Iterator[Callable[[], Tensor]]:
        with nullcontext() if last or self._all is None else self._all.no_sync():
            yield self._all or net

    def mean(self, loss: Tensor) -> Tensor:
        total = loss.clone()
        dist.all_reduce(total)
        return total / self._count

    def agreed(self, request: Request) -> Request:
        index = torch.tensor(_REQUESTS.index(request))  # on the CPU, so no GPU is synchronised
        dist.all_reduce(index, dist.ReduceOp.MAX)
        return _REQUESTS[int(index)]

    def gathered(self, data: bytes) -> list[bytes]:
        most = torch.tensor(len(data))
        dist.all_reduce(most, dist.ReduceOp.MAX)
        mine = torch.frombuffer(bytearray(data.ljust(int(most))), dtype=torch.uint8)
        all_of_them = [torch.empty_like(mine) for _ in range(self._count)]
        dist.all_gather(all_of_them, mine)
        return [one.numpy().tobytes().rstrip() for one in all_of_them]


@contextmanager
def ranks(device: torch.device | str = "cpu") -> Iterator[Here]:
    """Join the other ranks if torchrun started this process; else be the only rank.

    If ranks fail, the first one raises its error, and the others end silently (`SystemExit`).

    Parameters
    ----------
    device
        `cpu`, or `cuda` for the GPU with this rank's local number.

    Raises
    ------
    EmotiwError
        If there is no such GPU, or another rank ended without an error message.
    """
    rank, count, local = (_number(name) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
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
            f"rank {rank} lost another rank, which ended without a message: was it killed, or out of memory?"
        ) from None
    dist.destroy_process_group()


def _number(name: str) -> int | None:
    """Return a number from torchrun's environment variables, or None."""
    value = os.environ.get(name)
    if value is not None and not value.isdecimal():
        raise EmotiwError(f"{name} is {value!r} in the environment: torchrun sets it to a number; unset it")
    return None if value is None else int(value)


def _device_of(device: torch.device, local: int | None) -> torch.device:
    """Return a rank's device; a GPU becomes torch's current device."""
    if device.type != "cuda" or local is None:
        return device
    if local >= (found := torch.cuda.device_count()):
        raise EmotiwError(f"there are {found} GPUs for more ranks: name as many to torchrun, --nproc-per-node {found}")
    torch.cuda.set_device(local)
    return torch.device("cuda", local)


def _join(here: Here) -> Store:
    """Wait for the other ranks; return the store that they share."""
    if os.environ.get("LOCAL_WORLD_SIZE") == str(here.count) and Path("/sys/class/net/lo").is_dir():
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # all ranks are here: use the loopback
    store: Store
    store, rank, count = next(rendezvous("env://"))
    backend = "gloo" if here.device.type == "cpu" else "cpu:gloo,cuda:nccl"
    group = PrefixStore("group", store)
    dist.init_process_group(backend, store=group, rank=rank, world_size=count, timeout=_PATIENCE)
    return store


def _is_first(store: Store) -> bool:
    """Return whether this rank is the first to fail."""
    try:
        return int(store.add("failed", 1)) == 1
    except dist.DistError:  # the store ended with another rank
        return False


def _is_loss_of_another(error: Exception) -> bool:
    """Return whether an error means a lost connection; gloo has no error type for that."""
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error).lower())


def _rest_outside_the_loss(net: Net) -> None:
    """Disable gradients of blobs that the loss does not depend on: DDP would wait for them; Caffe's are zero."""
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
