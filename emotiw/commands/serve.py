"""The verb `serve`.

The page shows the faces found, the five representations of one, and the posteriors of each model and of the ensemble,
their average. It listens on this machine alone unless --host says otherwise, asks nothing of any other machine, and
keeps what is uploaded in a temporary folder that goes when it ends (Ctrl-C).
"""

import argparse

from emotiw.commands.options import add_models, engine_of

_MEGABYTE = 1 << 20  # as the browser tells it
_ORDERLY = 3.5  # seconds in which the page ends by itself


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `emotiw serve` takes."""
    add_models(parser, default="all released models that are here")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=7860, help="0 is any that is free (default: 7860)")
    parser.add_argument(
        "--max-upload", type=int, default=10, metavar="MB", help="size of a picture's file at most (default: 10)"
    )
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name by which browsers may ask for the page, besides localhost and IP addresses; repeatable",
    )


def run(args: argparse.Namespace) -> None:
    """Load the models, say where the page is, answer until Ctrl-C."""
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
        require_gradio,
        serve,
    )

    if args.max_upload < 1:
        raise UsageError("--max-upload must be at least 1")
    hosts = host_names(args.allow_host)
    require_gradio()
    with ExitStack() as stack:
        listening = stack.enter_context(listen(args.host, args.port))
        models = open_models(args.model or released_here())
        engine = engine_of(args)
        uploads = stack.enter_context(quiet_gradio())
        stack.enter_context(deadline(_ORDERLY, uploads.remove))
        # A worker dies with the thread that starts it: this one stays.
        predictors = [stack.enter_context(Predictor([model], engine, args.crops, args.mean)) for model in models]
        examiner = Examiner(predictors)
        detect = looked_for(models, args.detect)
        print(*examiner.describe(), *warnings(models, detect=detect), sep="\n", flush=True)
        examiner.rehearse()
        from emotiw.evaluate.serve.page import build

        host, port = listening.getsockname()[:2]
        page = build(examiner, detect=detect)
        app = application(page, host, port, args.max_upload * _MEGABYTE, uploads, hosts)
        said = f"listening on {address(listening)} (Ctrl-C ends it)"
        if not ip_address(host).is_loopback:
            said += "; whoever reaches this machine can use it, without a password"
        serve(app, listening, partial(print, said, flush=True))


def released_here() -> list[str]:
    """Return the released models that are here; raise where there is none."""
    from emotiw.errors import EmotiwError
    from emotiw.evaluate.released.catalog import WEIGHTS, models_folder, released

    here = [name for name in released() if (models_folder() / name / WEIGHTS).is_file()]
    if not here:
        raise EmotiwError(
            "none of the released models is here: fetch them with emotiw models fetch all, or name a finished run "
            "with --model"
        )
    return here
