"""Class scores by the real Caffe: forward passes in a worker process under Caffe's own Python."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from subprocess import PIPE
from types import SimpleNamespace
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from emotiw.engine.leash import running
from emotiw.errors import EmotiwError

from .locate import Caffe
from .process import last_words, start

WORKER = Path(__file__).with_name("worker.py")
BATCH = 10  # faces a forward pass: VGG_S takes half the time of single ones, and little memory


class Scorer:
    """A net with its weights, loaded once, that scores batch after batch; use it in a `with` statement.

    Parameters
    ----------
    caffe : Caffe
        Which Caffe computes.
    net : Path
        A deploy.prototxt with one input.
    weights : Path
        A caffemodel. As always in Caffe, a layer whose name it lacks keeps its filler's values, silently.
    output : str or None
        The blob to return; None is the net's last output.

    Raises
    ------
    EmotiwError
        Where a file is missing, or Caffe refuses net, weights or batch: with Caffe's own words.
    """

    def __init__(self, caffe: Caffe, net: Path, weights: Path, output: str | None = "prob") -> None:
        for file in (net, weights):
            if not file.is_file():
                raise EmotiwError(f"{file}: no such file")
        self._caffe, self._net = caffe, net
        self._args: list[str | Path] = [WORKER, "scores", net, weights, output or ""]
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._noise: IO[bytes] = stack.enter_context(tempfile.TemporaryFile())
            worker = start(
                self._caffe,
                self._args,
                program=self._caffe.python,
                stdin=PIPE,
                stdout=PIPE,
                stderr=self._noise,
            )
            self._worker = stack.enter_context(running(worker))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def scores(self, blob: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the net's answer to one batch.

        Parameters
        ----------
        blob : float32 array, (N, 3, H, W)
            What the net's input expects: BGR, minus the mean; N at least 1.

        Returns
        -------
        float32 array, (N, classes)
            The output blob, flattened behind its first axis.
        """
        if blob.ndim != 4 or not len(blob):
            raise ValueError(f"a batch is N x channels x H x W with N >= 1, not {blob.shape}")
        stdin, stdout = self._worker.stdin, self._worker.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            np.lib.format.write_array(_pipe(stdin), np.ascontiguousarray(blob, np.float32), allow_pickle=False)
            stdin.flush()
            answer: NDArray[np.float32] = np.lib.format.read_array(_pipe(stdout), allow_pickle=False)
        except (BrokenPipeError, ValueError):
            raise EmotiwError(f"{self._net}: Caffe stopped: {self._last_words()}") from None
        return answer

    def _last_words(self) -> str:
        status = self._worker.wait()
        self._noise.seek(0)
        return last_words(self._noise.read().decode(errors="replace"), status)


def scores(caffe: Caffe, net: Path, weights: Path, images: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the scores of all `images` at once; as `Scorer.scores`, in batches of `BATCH`.

    Parameters
    ----------
    images : float32 array, (N, 3, H, W)
        As for `Scorer.scores`.

    Returns
    -------
    float32 array, (N, classes)
    """
    with Scorer(caffe, net, weights, output=None) as scorer:
        batches = (images[first : first + BATCH] for first in range(0, len(images), BATCH))
        return np.concatenate([scorer.scores(batch) for batch in batches])


def _pipe(file: IO[bytes]) -> Any:
    """Return the reading and writing of `file` alone: numpy would seek in what looks like a real file."""
    return SimpleNamespace(read=file.read, write=file.write)
