"""Class scores by the real Caffe: forward passes in a worker process under Caffe's own Python."""

import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen, TimeoutExpired
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
_BEGIN = "emotiw: answers begin here"
_PATIENCE = 10  # seconds for a worker to end after its input is closed


def worker(caffe: Caffe, *words: str | Path, noise: IO[bytes], stdin: int = DEVNULL) -> "Popen[bytes]":
    """Start the worker under Caffe's own Python; `noise` is its standard error. Call `skip_to_answers` first."""
    return start(caffe, [caffe.python, WORKER, _BEGIN, *words], stdin=stdin, stdout=PIPE, stderr=noise)


def skip_to_answers(stdout: IO[bytes]) -> None:
    """Skip what Caffe's Python printed before the worker's first answer; everything if there is no answer."""
    while (line := stdout.readline()) and line.strip() != _BEGIN.encode():
        pass


class CaffeScorer(Scorer):
    """A `Scorer` that runs `caffe`; its errors quote Caffe's own message."""

    def __init__(self, caffe: Caffe, net: Path, weights: Path, output: str | None = "prob") -> None:
        super().__init__(net, weights, output)
        self._caffe = caffe
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._noise: IO[bytes] = stack.enter_context(tempfile.TemporaryFile())
            words = ("scores", self._net, self._weights, self._output or "")
            started = worker(self._caffe, *words, noise=self._noise, stdin=PIPE)
            self._worker = stack.enter_context(running(started))
            self._begun = False
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def _answer(self, blob: Blob) -> Blob:
        stdin, stdout = self._worker.stdin, self._worker.stdout
        assert stdin is not None
        assert stdout is not None
        if not self._begun:
            skip_to_answers(stdout)
            self._begun = True
        try:
            np.lib.format.write_array(_pipe(stdin), blob, allow_pickle=False)
            stdin.flush()
            answer: Blob = np.lib.format.read_array(_pipe(stdout), allow_pickle=False)
        except (BrokenPipeError, ValueError):
            raise EmotiwError(f"{self._net}: Caffe stopped: {self._last_words()}") from None
        return answer

    def _last_words(self) -> str:
        """Return why there is no answer; a worker that is still alive has printed something else."""
        assert self._worker.stdin is not None
        with suppress(BrokenPipeError):
            self._worker.stdin.close()
        try:
            status = self._worker.wait(_PATIENCE)
        except TimeoutExpired:
            status = 0
        if status == 0:
            return f"{self._caffe.python} gave no answer, or printed something else in between"
        self._noise.seek(0)
        return last_words(self._noise.read().decode(errors="replace"), status)


def _pipe(file: IO[bytes]) -> Any:
    """Return an object with only `read` and `write` of `file`: numpy would seek in what looks like a real file."""
    return SimpleNamespace(read=file.read, write=file.write)
