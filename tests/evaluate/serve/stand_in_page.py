"""A program: the page of `emotiw serve` with a fake model that answers Happy, so that it needs no Caffe.

python stand_in_page.py SECONDS SILENCE LONGEST

SECONDS is how long an answer takes, SILENCE how long a connection may be silent, LONGEST how long a request and its
answer may take. Every attempt to reach another machine, or to look up a name, is a line "network ..." on standard
error.
"""

import sys
import time
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import numpy as np

from emotiw.data_prep.emotions import EMOTIONS
from emotiw.evaluate.model import Model
from emotiw.evaluate.predict.predictor import Prediction
from emotiw.evaluate.serve.deadline import deadline
from emotiw.evaluate.serve.examine import Examiner
from emotiw.evaluate.serve.server import address, application, listen, quiet_gradio, serve

MOST = 1_000_000
"""Bytes of an upload at most."""
NETWORK = ("socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname")


class Certain:
    """A predictor that always answers Happy.

    Parameters
    ----------
    seconds
        How long an answer takes.
    """

    models = (Model("VGG_S_rgb", "vgg_s", "rgb", Path(), Path(), Path(), EMOTIONS, "resize", stand_in=True),)

    def __init__(self, seconds=0.0):
        self.seconds = seconds

    def describe(self):
        return ["VGG_S_rgb: by hand"]

    def predict(self, faces):
        time.sleep(self.seconds)
        row = np.eye(7)[EMOTIONS.index("Happy")]
        return iter([Prediction(face, row[None], row) for face in faces])


def watch(event, args):
    """Report the process's network requests."""
    if event in NETWORK:
        print("network", event, args[1:] if event.startswith("socket.s") else args, file=sys.stderr, flush=True)


def main(seconds, silence, longest):
    with ExitStack() as stack:
        listening = stack.enter_context(listen("127.0.0.1", 0))
        uploads = stack.enter_context(quiet_gradio())
        stack.enter_context(deadline(3.5, uploads.remove))
        from emotiw.evaluate.serve.page import build

        sys.addaudithook(watch)
        app = application(build(Examiner([Certain(seconds)]), detect=False), *listening.getsockname(), MOST, uploads)
        serve(app, listening, partial(print, address(listening), flush=True), silence, longest)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main(*map(float, sys.argv[1:]))
