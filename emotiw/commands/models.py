"""The verb `models`.

The authors offer the files "as is", without an open licence, so they are fetched and never shipped. They are stored in
$EMOTIW_MODELS or else in the cache folder. `emotiw models` without an action lists them.
"""

import argparse
from collections.abc import Sequence

from emotiw.commands.options import add_engine, engine_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions: list, fetch, verify."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", parser_class=type(parser))
    listing = actions.add_parser("list", help="list the models and which of their files are present (default)")
    fetching = actions.add_parser(
        "fetch",
        help="fetch models, or make stand-ins",
        description="Fetch models from the authors' Google Drive, or from the source that --from names. If "
        "interrupted, run the same command again to continue. Every file is checked before it is put in place.",
    )
    verifying = actions.add_parser(
        "verify",
        help="check the models that are present",
        description="Check every file's structure (names, types and shapes of all layers, the mean's shape, finite "
        "values) and, if a public source has it, its digest. With --demo, each model also answers the authors' demo "
        "image beside it, as in their notebook.",
    )
    verifying.add_argument(
        "--demo",
        action="store_true",
        help="also ask each model the demo image beside it, with each rule for the mean, and compare the answer with "
        "what the authors' notebook printed; only their DemoDir.zip has these images",
    )
    add_engine(verifying)
    fetching.add_argument("names", nargs="+", metavar="NAME", help="models, such as VGG_S_cyclic_lbp; or all")
    verifying.add_argument("names", nargs="*", metavar="NAME", help="models (default: those that are present)")
    fetching.add_argument(
        "--from",
        dest="source",
        metavar="FILE|DIR|URL",
        help="the source instead of Google Drive: DemoDir.zip, one file of one model, a folder, the URL of a zip, or a "
        "URL that <NAME>/<file> is appended to",
    )
    fetching.add_argument(
        "--stand-in", action="store_true", help="make files of the same structure with random weights, for tests"
    )
    fetching.add_argument("--seed", type=int, metavar="N", help="seed of the random weights (default: 0)")
    fetching.add_argument("--force", action="store_true", help="replace existing files")
    for action in (listing, fetching, verifying):
        action.add_argument("--debug", action="store_true", help="show a traceback when something fails")


def run(args: argparse.Namespace) -> None:
    """Do `args.action`; list if there is none."""
    {"list": _list, "fetch": _fetch, "verify": _verify}[args.action or "list"](args)


def _list(args: argparse.Namespace) -> None:
    from tabulate import tabulate

    from emotiw.evaluate.released.catalog import NET, models_folder, released
    from emotiw.evaluate.released.verify import least_bytes, state
    from emotiw.prototxt.zoo.model_cards import ORIGINS

    rows = [
        (model.name, model.representation, f"{sum(map(least_bytes, model.files)) / 1e6:.0f} MB", state(model.name))
        for model in released().values()
    ]
    print(tabulate(rows, headers=("name", "representation", "size", "here"), disable_numparse=True))
    print(f"\nlicence: {ORIGINS[NET].facts['licence']} ({ORIGINS[NET].facts['url']})")
    print(f"folder: {models_folder()} (set $EMOTIW_MODELS for another one)")


def _fetch(args: argparse.Namespace) -> None:
    from emotiw.errors import UsageError
    from emotiw.evaluate.released.fetch import fetch, known, make_stand_ins

    names = known(args.names)
    if args.stand_in and args.source is not None:
        raise UsageError("--stand-in makes files and --from fetches them: give one of the two")
    if args.seed is not None and (args.seed < 0 or not args.stand_in):
        raise UsageError("--seed needs --stand-in and must be at least 0")
    if args.stand_in:
        make_stand_ins(names, args.seed or 0, args.force)
    else:
        fetch(names, args.source, args.force)


def _verify(args: argparse.Namespace) -> None:
    from emotiw.errors import EmotiwError
    from emotiw.evaluate.released.catalog import models_folder, released
    from emotiw.evaluate.released.fetch import known
    from emotiw.evaluate.released.verify import state, verify

    names = known(args.names) or [name for name in released() if state(name) != "nothing"]
    if not names:
        raise EmotiwError(f"no released model is in {models_folder()}: run emotiw models fetch all")
    wrong = []
    for name in names:
        verdict = verify(name)
        if verdict.wrong:
            wrong.append(name)
        for line in verdict.wrong:
            print(f"{name}: WRONG: {line}", flush=True)
        if not verdict.wrong:
            print(f"{name}: {state(name)}: {verdict.checked}", flush=True)
    fault = _demo(args, [name for name in names if name not in wrong]) if args.demo else ""
    if wrong:
        raise EmotiwError(f"{len(wrong)} of {len(names)} models are wrong, as listed: run emotiw models fetch --force")
    if fault:
        raise EmotiwError(fault)


def _demo(args: argparse.Namespace, names: Sequence[str]) -> str:
    """Ask each model its demo image, and print the answers; return why they do not prove the models, or nothing."""
    from emotiw.evaluate.demo_images import ask, fault, verdicts, why_not

    answers, asked = [], []
    for name in names:
        if reason := why_not(name):
            print(f"{name}: {reason}", flush=True)
        else:
            asked.append(name)
    if asked:
        engine = engine_of(args)
        print(f"the demo image beside each model, the centre crop, each rule for the mean, {engine}:", flush=True)
        for name in asked:
            answers.append(ask(name, engine))
            print(answers[-1], flush=True)
        print(*verdicts(answers), sep="\n")
    return fault(names, answers)
