"""A training's LMDB positions and random state, in a file next to each solverstate.

Caffe saves neither, so a training that it resumes ends with other weights. With this file a resumed training ends with
bit-identical weights to one that was never interrupted.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from emotiw.engine.torch.data.lmdb_source import Sources
from emotiw.engine.torch.data.transformed_source import Place
from emotiw.engine.torch.net import Net
from emotiw.errors import EmotiwError
from emotiw.files import file_digest
from emotiw.json_record import read_record, record_of, write_json

from .distributed import Alone

SUFFIX = ".randomstate"


@dataclass(frozen=True)
class Setting:
    """What a training's numbers depend on; with another setting, its random state is of no use.

    `device` is `cpu` or `cuda`, `ranks` the number of processes that share the training.
    """

    version: str
    precision: str
    device: str
    ranks: int


@dataclass(frozen=True)
class SourceState:
    """The number of batches that a source has given, and the state of its generator after them."""

    batches: int
    random: str


@dataclass(frozen=True)
class RankState:
    """The random state of one process of a training, in base64; the GPU's is empty on a CPU.

    `fillers` has DummyData's generator of each net, `sources` the LMDBs of the Data layers in the order of opening.
    """

    cpu: str
    cuda: str
    fillers: list[str]
    sources: list[SourceState]


@dataclass(frozen=True)
class RandomState:
    """The contents of the file; `solverstate_sha256` is the digest of its solverstate."""

    solverstate_sha256: str
    setting: Setting
    ranks: list[RankState]


def path_of(state: Path) -> Path:
    """Return the path of the random-state file of a solverstate."""
    return state.with_suffix(SUFFIX)


def read_random_state(state: Path, setting: Setting) -> RandomState | None:
    """Return a solverstate's random state; None if there is none, or it is of another solverstate or setting."""
    try:
        found = read_record(path_of(state), RandomState)
        fits = found.setting == setting and len(found.ranks) == setting.ranks
        return found if fits and found.solverstate_sha256 == file_digest(state) else None
    except (OSError, ValueError):
        return None


class Randomness:
    """The random generators of one process of a training: torch's own, the fillers', the sources'.

    Parameters
    ----------
    nets
        The nets, which hold the fillers' generators.
    sources
        The data sources of the nets.
    device
        The device to compute on.
    setting
        The setting of the whole training.
    rank
        The number of this process.
    """

    def __init__(
        self, nets: Sequence[Net], sources: Sources, device: torch.device, setting: Setting, rank: int = 0
    ) -> None:
        self._generators = [net.generator for net in nets]
        self._sources, self._device, self._setting, self._rank = sources, device, setting, rank

    def gathered(self, together: Alone, *, by_all: bool) -> list[RankState]:
        """Return the state of every process; an empty list unless all processes call this."""
        if not by_all and self._setting.ranks > 1:
            return []
        states = together.gathered(json.dumps(asdict(self._state())).encode())
        return [record_of(json.loads(state), RankState) for state in states]

    def write(self, state: Path, ranks: list[RankState]) -> None:
        """Write the states of all processes to the random-state file of a solverstate."""
        write_json(path_of(state), asdict(RandomState(file_digest(state), self._setting, ranks)))

    def restore(self, state: Path) -> str:
        """Restore the random state of a solverstate; return a log line. Call it before the sources have begun.

        Raises
        ------
        EmotiwError
            If the random state is of other nets.
        """
        found = read_random_state(state, self._setting)
        if found is None:
            return f"{path_of(state)} does not belong to it: the LMDB is read from its start, with other random numbers"
        try:
            self._stand_at(found.ranks[self._rank])
        except (ValueError, RuntimeError):
            raise EmotiwError(f"{path_of(state)} is damaged: remove it to continue with other random numbers") from None
        return f"Restoring the position in the LMDB and the random state from {path_of(state)}"

    def _state(self) -> RankState:
        cuda = _text(torch.cuda.get_rng_state(self._device)) if self._device.type == "cuda" else ""
        fillers = [_text(generator.get_state()) for generator in self._generators]
        places = [source.place for source in self._sources.opened]
        sources = [SourceState(place.batches, _text(place.random)) for place in places]
        return RankState(_text(torch.get_rng_state()), cuda, fillers, sources)

    def _stand_at(self, state: RankState) -> None:
        places = [Place(source.batches, _tensor(source.random)) for source in state.sources]
        for source, place in zip(self._sources.opened, places, strict=True):
            source.begin_at(place)
        for generator, random in zip(self._generators, state.fillers, strict=True):
            generator.set_state(_tensor(random))
        if self._device.type == "cuda":
            torch.cuda.set_rng_state(_tensor(state.cuda), self._device)
        torch.set_rng_state(_tensor(state.cpu))


def _text(state: Tensor) -> str:
    return base64.b64encode(state.numpy().tobytes()).decode()


def _tensor(text: str) -> Tensor:
    return torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.uint8)
