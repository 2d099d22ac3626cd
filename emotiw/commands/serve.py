"""The verb `serve`.

The page shows the detected faces, the five representations of one of them, and the posteriors of each model and of
the ensemble (their average). The server listens only on this machine unless --host names another address. It sends
nothing to other machines, and keeps uploads in a temporary folder that it removes when it ends (Ctrl-C).
"""

import argparse

from emotiw.commands.options import add_models, engine_of

_MEGABYTE = 1 << 20  # as browsers count it
_ORDERLY = 3.5  # seconds for an orderly shutdown, before the deadline ends the process


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `emotiw serve`."""
    add_models(parser, default="all released models that are present")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    parser.add_argument(
        "--port", type=int, default=7860, help="the port to listen on; 0 is any free one (default: 7860)"
    )
    parser.add_argument(
        "--max-upload", type=int, default=10, metavar="MB", help="largest size of a picture's file (default: 10)"
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a host name that browsers may use, besides localhost and IP addresses; repeatable",
    )


def run(args: argparse.Namespace) -> None:
    """Load the models, print the page's address, and serve until Ctrl-C."""
    from contextlib import ExitStack
    from functools import partial
    from ipaddress import ip_address

    from emotiw.errors import UsageError
    from emotiw.evaluate.model import open_models
    from emotiw.evaluate.predict.faces import looked_for, warnings
    from emotiw.evaluate.predict.predictor import Predictor
    from emotiw.evaluate.serve.deadline import deadline
    from emotiw.evaluate.serve.examine import Examiner
    from emotiw.evaluate.serve.server import (
        address,
        application,
        host_names,
        listen,
        quiet_gradio,
        serve,
    )
    from emotiw.extras import require

    if args.max_upload < 1:
        raise UsageError("--max-upload must be at least 1")
    hosts = host_names(args.allow_host)
    require("gradio", "emotiw serve")
    with ExitStack() as stack:
        listening = stack.enter_context(listen(args.host, args.port))
        models = open_models(args.model or released_here())
        engine = engine_of(args)
        uploads = stack.enter_context(quiet_gradio())
        stack.enter_context(deadline(_ORDERLY, uploads.remove))
        # A worker dies with the thread that starts it, so start them in this thread, which lives until the end.
        predictors = [stack.enter_context(Predictor([model], engine, args.crops, args.mean)) for model in models]
        examiner = Examiner(predictors)
        detect = looked_for(models, args.detect)
        print(*examiner.describe(), *warnings(models, detect=detect), sep="\n", flush=True)
        examiner.rehearse()
        from emotiw.evaluate.serve.page import build

        host, port = listening.getsockname()[:2]
        page = build(examiner, detect=detect)
        app = application(page, host, port, args.max_upload * _MEGABYTE, uploads, hosts)
        ready = f"listening on {address(listening)} (Ctrl-C ends it)"
        if not ip_address(host).is_loopback:
            ready += "; everyone who can reach this machine can use it, without a password"
        serve(app, listening, partial(print, ready, flush=True))


def released_here() -> list[str]:
    """Return the names of the released models that are present; raise if there is none."""
    from emotiw.errors import EmotiwError
    from emotiw.evaluate.released.catalog import WEIGHTS, models_folder, released

    here = [name for name in released() if (models_folder() / name / WEIGHTS).is_file()]
    if not here:
        raise EmotiwError(
            f"no released model is in {models_folder()}: fetch them with emotiw models fetch all, or name a finished "
            "run with --model"
        )
    return here
