"""Where a training stands in its LMDBs and its random numbers, in a file beside each solverstate.

Caffe keeps neither, so a training that it goes on with is another one. With this file a training that was interrupted
ends with the weights of one that was not, bit by bit.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from emotiw.engine.torch.data.lmdb_source import Place, Sources
from emotiw.engine.torch.net import Net
from emotiw.errors import EmotiwError
from emotiw.files import file_digest
from emotiw.json_record import read_record, record_of, write_json

from .distributed import Alone

SUFFIX = ".randomstate"


@dataclass(frozen=True)
class Setting:
    """What a training runs on; on another one its numbers would be others all the same.

    `device` is `cpu` or `cuda`, `ranks` the number of processes that share out the training.
    """

    version: str
    precision: str
    device: str
    ranks: int


@dataclass(frozen=True)
class SourceState:
    """How many batches a source has given, and the state of its generator then."""

    batches: int
    random: str


@dataclass(frozen=True)
class RankState:
    """What one process of a training draws from; states are in base64, that of a GPU is empty on a CPU.

    `fillers` is of DummyData's generators, a net each, `sources` of the Data layers' LMDBs in the order of opening.
    """

    cpu: str
    cuda: str
    fillers: list[str]
    sources: list[SourceState]


@dataclass(frozen=True)
class RandomState:
    """What the file says; `solverstate_sha256` is of the file that it is for."""

    solverstate_sha256: str
    setting: Setting
    ranks: list[RankState]


def path_of(state: Path) -> Path:
    """Return the path of the file beside a solverstate."""
    return state.with_suffix(SUFFIX)


def read_random_state(state: Path, setting: Setting) -> RandomState | None:
    """Return what is kept beside a solverstate; None where that is nothing, of another one, or of another setting."""
    try:
        found = read_record(path_of(state), RandomState)
        fits = found.setting == setting and len(found.ranks) == setting.ranks
        return found if fits and found.solverstate_sha256 == file_digest(state) else None
    except (OSError, ValueError):
        return None


class Randomness:
    """What one process of a training draws from: torch's own generators, the fillers', the sources'.

    Parameters
    ----------
    nets
        Of whose generators fillers draw.
    sources
        What feeds the nets.
    device
        Where it computes.
    setting
        What the whole training runs on.
    rank
        Which of its processes this is.
    """

    def __init__(
        self, nets: Sequence[Net], sources: Sources, device: torch.device, setting: Setting, rank: int = 0
    ) -> None:
        self._generators = [net.generator for net in nets]
        self._sources, self._device, self._setting, self._rank = sources, device, setting, rank

    def gathered(self, together: Alone, *, by_all: bool) -> list[RankState]:
        """Return where every process stands; nothing where not all of them ask."""
        if not by_all and self._setting.ranks > 1:
            return []
        told = together.gathered(json.dumps(asdict(self._state())).encode())
        return [record_of(json.loads(one), RankState) for one in told]

    def write(self, state: Path, ranks: list[RankState]) -> None:
        """Write beside a solverstate where every process stands."""
        write_json(path_of(state), asdict(RandomState(file_digest(state), self._setting, ranks)))

    def restore(self, state: Path) -> str:
        """Stand where a training stood when it wrote a solverstate; return what to say. Sources may not have begun.

        Raises
        ------
        EmotiwError
            If what was kept is of other nets.
        """
        found = read_random_state(state, self._setting)
        if found is None:
            return f"{path_of(state)} does not go with it: the LMDB is read from its beginning, by other random numbers"
        try:
            self._stand_at(found.ranks[self._rank])
        except (ValueError, RuntimeError):
            raise EmotiwError(f"{path_of(state)} is damaged: remove it to go on by other random numbers") from None
        return f"Restoring the place in the LMDB and the random numbers from {path_of(state)}"

    def _state(self) -> RankState:
        cuda = _text(torch.cuda.get_rng_state(self._device)) if self._device.type == "cuda" else ""
        fillers = [_text(generator.get_state()) for generator in self._generators]
        places = [source.place for source in self._sources.opened]
        told = [SourceState(place.batches, _text(place.random)) for place in places]
        return RankState(_text(torch.get_rng_state()), cuda, fillers, told)

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
