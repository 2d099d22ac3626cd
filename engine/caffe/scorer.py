"""Class scores by the real Caffe: forward passes in a worker process under Caffe's own Python."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from subprocess import PIPE
from types import SimpleNamespace
from typing import IO, Any, Self

import numpy as np

from emotiw.engine.base import Blob, Scorer
from emotiw.engine.child_process import running
from emotiw.engine.training_log import last_words
from emotiw.errors import EmotiwError

from .find import Caffe
from .programs import start

WORKER = Path(__file__).with_name("worker.py")


class CaffeScorer(Scorer):
    """A `Scorer` by `caffe`; where Caffe refuses something, its own words are the error's."""

    def __init__(self, caffe: Caffe, net: Path, weights: Path, output: str | None = "prob") -> None:
        super().__init__(net, weights, output)
        self._caffe = caffe
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._noise: IO[bytes] = stack.enter_context(tempfile.TemporaryFile())
            worker = start(
                self._caffe,
                [self._caffe.python, WORKER, "scores", self._net, self._weights, self._output or ""],
                stdin=PIPE,
                stdout=PIPE,
                stderr=self._noise,
            )
            self._worker = stack.enter_context(running(worker))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def _answer(self, blob: Blob) -> Blob:
        stdin, stdout = self._worker.stdin, self._worker.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            np.lib.format.write_array(_pipe(stdin), blob, allow_pickle=False)
            stdin.flush()
            answer: Blob = np.lib.format.read_array(_pipe(stdout), allow_pickle=False)
        except (BrokenPipeError, ValueError):
            raise EmotiwError(f"{self._net}: Caffe stopped: {self._last_words()}") from None
        return answer

    def _last_words(self) -> str:
        status = self._worker.wait()
        self._noise.seek(0)
        return last_words(self._noise.read().decode(errors="replace"), status)


def _pipe(file: IO[bytes]) -> Any:
    """Return the reading and writing of `file` alone: numpy would seek in what looks like a real file."""
    return SimpleNamespace(read=file.read, write=file.write)
