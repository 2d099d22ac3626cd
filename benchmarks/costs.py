"""The costs of a command and of the bare program that it wraps: seconds, processor time and memory.

Both give the same results, on two cores, with their input in the file system's cache.
"""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
from alternating import TURNS, Work, in_turns, on_cores
from engines import SOLVER, WARM, compare, write_run
from faces import face
from preparing import EMOTIW, remove
from programs import Program, Spent

from emotiw.data_prep.synthetic.faces import draw_expressions, draw_identities
from emotiw.engine.caffe.find import Caffe, find_caffe
from emotiw.engine.registry import open_engine
from emotiw.engine.settings import EngineSettings
from emotiw.evaluate.model import Model, open_model, released_in
from emotiw.evaluate.released.stand_in import write_stand_in
from emotiw.evaluate.scores import read_scores
from emotiw.lbp_mapping.representation import PAPER
from emotiw.prototxt.formats.blobs import read_weights
from emotiw.prototxt.formats.messages import LayerParameter, format_text
from emotiw.prototxt.surgery import crop_size, deploy
from emotiw.train.run_folder import Run

NET, ROW, STAND_IN = "vgg_s_small", "vgg_s_small-rgb", "VGG_S_rgb"
SHORT = ("--iterations", "1")
PEERS = Path(__file__).parent / "peers"
VALIDATING, BATCH = 250, 50  # validation images, and the batch size of the bare script
LEARNING = 40  # iterations of a net that scores
TRAINED = ("vgg_s", 30)  # a net, and its batch size in training
CORES = 2
MOST_APART = 1e-5  # of posteriors and weights
LEAST_SPREAD = 0.01  # of posteriors: equal ones would show nothing


@dataclass(frozen=True)
class Figures:
    """A program's median wall and processor seconds, and its peak memory in bytes, from a separate run."""

    seconds: float
    cpu: float
    peak: float


@dataclass(frozen=True)
class Limit:
    """An upper limit of ours.

    Attributes
    ----------
    most
        The largest CPU s or, with `of="peak"`, MB (10^6 bytes).
    bare
        What is added to the bare program's figure ("+") or multiplied by it ("x") to give the limit; empty: `most` is
        the limit itself.
    """

    most: float
    of: str = "cpu"
    bare: str = ""

    def __str__(self) -> str:
        """Return the limit in the words of the table."""
        unit = "CPU s" if self.of == "cpu" else "MB"
        if self.bare == "x":
            return f"{self.most:g} x the bare program's {unit}"
        return f"{self.most:g} {unit}{' more than the bare program' if self.bare else ''}"

    def met(self, ours: Figures, theirs: Figures | None) -> bool:
        """Return whether ours is within the limit."""
        most = self.most * (1e6 if self.of == "peak" and self.bare != "x" else 1)
        if self.bare:
            assert theirs
            bare: float = getattr(theirs, self.of)
            most = most * bare if self.bare == "x" else most + bare
        figure: float = getattr(ours, self.of)
        return figure <= most


@dataclass(frozen=True)
class Pair:
    """A command and the bare program, ready to run.

    Attributes
    ----------
    check
        Raises if their results differ; called after each has run once.
    clear
        Removes earlier results, which ours would reuse; called before each run.
    """

    ours: Program
    theirs: Program | None = None
    check: Work = lambda: None
    clear: Work = lambda: None

    def run(self) -> Spent:
        """Run ours from the start."""
        self.clear()
        return self.ours.run()

    def measure(self, turns: int) -> tuple[Figures, Figures | None]:
        """Return the figures of ours and of the bare program, from `turns` turns of each after an untimed one."""
        if self.theirs is None:
            return self._figures([self.run() for _ in range(turns + 1)][1:], self.ours), None
        self.run()
        self.theirs.run()
        self.check()
        ours, theirs = in_turns(self.run, self.theirs.run, turns)
        return self._figures(ours, self.ours), self._figures(theirs, self.theirs)

    def _figures(self, spent: list[Spent], program: Program) -> Figures:
        """Return the medians of the timed runs, and the peak memory from one more run, because sampling costs time."""
        self.clear()
        return Figures(median(one.seconds for one in spent), median(one.cpu for one in spent), program.peak())


@dataclass(frozen=True)
class Costly:
    """A line of the table of costs: the work, the bare program, and a function that prepares both in a folder."""

    work: str
    bare: str
    pair: Callable[[Path, Caffe], Pair]
    limit: Limit | None = None

    def measure(self, folder: Path, turns: int = TURNS) -> tuple[Figures, Figures | None]:
        """Measure both in turns on two cores."""
        with on_cores(CORES):
            return self.pair(folder, find_caffe()).measure(turns)


def predict_small(folder: Path, caffe: Caffe) -> Pair:
    """Return the pair of `emotiw predict` by a net trained here."""
    return predicting(folder, open_model(trained(folder, ROW, emotions(folder, ["rgb"]), LEARNING)), caffe)


def predict_five(folder: Path, caffe: Caffe) -> Pair:
    """Return `emotiw predict` by five nets trained here, one for each representation."""
    prepared = emotions(folder, list(map(str, PAPER)))
    runs = [trained(folder, f"{NET}-{representation}", prepared, 1) for representation in PAPER]
    picture = folder / "face.png"
    cv2.imwrite(str(picture), face()[..., ::-1])
    return Pair(Program([*EMOTIW, "predict", picture, "--aligned", "--model", *runs]))


def predict_released(folder: Path, caffe: Caffe) -> Pair:
    """Return the pair of `emotiw predict` by the stand-in of a released model."""
    write_stand_in(folder / STAND_IN, STAND_IN)
    return predicting(folder, released_in(folder / STAND_IN), caffe)


def predicting(folder: Path, model: Model, caffe: Caffe) -> Pair:
    """Return `emotiw predict` of a picture by a model, and the script of the authors' notebook."""
    picture, ours, theirs = (folder / name for name in ("face.png", "ours.json", "theirs.json"))
    cv2.imwrite(str(picture), face()[..., ::-1])
    command: list[str | Path] = [
        *EMOTIW,
        "predict",
        picture,
        "--aligned",
        "--model",
        model.weights.parent,
        "--format",
        "json",
    ]
    cropped = model.crop if model.mean_rule == "crop" else 0
    arguments: list[str | Path] = [picture, model.deploy, model.weights, model.mean_file, str(model.size), str(cropped)]

    def check() -> None:
        """Raise if the two give the picture other posteriors."""
        answer = json.loads(ours.read_text(encoding="utf-8"))["pictures"][0]["posteriors"]
        same_posteriors([*answer[model.title].values()], json.loads(theirs.read_text(encoding="utf-8")))

    return Pair(Program(command, output=ours), pycaffe(caffe, "classify_picture.py", *arguments, output=theirs), check)


def evaluate(folder: Path, caffe: Caffe) -> Pair:
    """Return `emotiw evaluate` on a set's validation images, and a script in which Caffe reads their LMDB."""
    prepared = emotions(folder, ["rgb"])
    run = Run(trained(folder, ROW, prepared, LEARNING))
    net, theirs = folder / "net.prototxt", folder / "theirs.csv"
    net.write_text(format_text(reading(run, prepared / "rgb/val_lmdb")), encoding="utf-8")

    def check() -> None:
        """Raise if the two give the validation images other posteriors, or ours lacks some images."""
        scores = read_scores(run.folder / "scores_val.csv").posteriors
        assert len(scores) == VALIDATING
        same_posteriors(scores, np.loadtxt(theirs, delimiter=","))

    bare = pycaffe(caffe, "score_lmdb.py", net, run.model, str(VALIDATING), theirs)
    return Pair(Program([*EMOTIW, "evaluate", run.folder, "--set", prepared, "--force"]), bare, check)


def table(folder: Path, caffe: Caffe) -> Pair:
    """Return `emotiw table` of five runs."""
    prepared = emotions(folder, list(map(str, PAPER)))
    runs = [trained(folder, f"{NET}-{representation}", prepared, 1) for representation in PAPER]
    Program([*EMOTIW, "evaluate", *runs, "--set", prepared]).run()
    return Pair(Program([*EMOTIW, "table", folder / "runs", "-o", folder / "table", "--force"]))


def reproducing(folder: Path) -> list[str | Path]:
    """Return `emotiw reproduce` of one row, with trainings of one iteration; `reproduction` is its output."""
    sets: list[str | Path] = ["--pretrain", people(folder), "--finetune", emotions(folder, ["rgb"])]
    return [*EMOTIW, "reproduce", *sets, "--rows", ROW, *SHORT, "--jobs", "1", "-o", folder / "reproduction"]


def reproduce(folder: Path, caffe: Caffe) -> Pair:
    """Return one step of `emotiw reproduce`, a pre-training of one iteration, and `caffe train` of the same solver."""
    # It ends with 1: the later steps are not done.
    ours = Program([*reproducing(folder), "--", "--until", "pretrain"], status=1)
    return pretraining(ours, folder / "reproduction", folder / "reproduction/runs", caffe)


def reproduce_nothing(folder: Path, caffe: Caffe) -> Pair:
    """Return `emotiw reproduce` with nothing to do."""
    ours = Program(reproducing(folder))
    ours.run()
    return Pair(ours)


def pretrain(folder: Path, caffe: Caffe) -> Pair:
    """Return `emotiw pretrain` of one iteration, which is a step of `emotiw reproduce`, and `caffe train`."""
    made = folder / "runs"
    ours = Program([*EMOTIW, "pretrain", ROW, "--set", people(folder), *SHORT, "-o", made])
    return pretraining(ours, made, made, caffe)


def pretraining(ours: Program, made: Path, runs: Path, caffe: Caffe) -> Pair:
    """Return the pair of a program that pre-trains a net below `runs`, and `caffe train` of the same solver.

    Parameters
    ----------
    made
        The folder that the program makes, which must not exist when it starts.
    """
    ours.run()
    run, bare = Run(runs / ROW / "pretrain"), made.with_name("bare")
    bare.mkdir()
    for name in ("train_val.prototxt", "solver.prototxt", "mean.binaryproto"):
        shutil.copyfile(run.folder / name, bare / name)

    def check() -> None:
        """Raise if the weights after the one iteration differ."""
        models = (run.model, bare / "snapshot_iter_1.caffemodel")
        ours, theirs = ([blob for blobs in read_weights(model).values() for blob in blobs] for model in models)
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=MOST_APART)

    theirs = Program([caffe.program, "train", "--solver=solver.prototxt"], cwd=bare, env=caffe.environment)
    return Pair(ours, theirs, check, clear=lambda: remove(made))


def train(folder: Path, caffe: Caffe) -> Pair:
    """Return the training process of the torch engine, for some iterations of a real net, and `caffe train`."""
    write_run(folder / "run", *TRAINED, 1)
    ours = Program([sys.executable, "-P", "-m", "emotiw.engine.torch.worker", SOLVER], cwd=folder / "run")
    theirs = Program([caffe.program, "train", f"--solver={SOLVER}"], cwd=folder / "run", env=caffe.environment)

    def check() -> None:
        """Raise if the engines give different losses; see `compare`."""
        engines = (open_engine(EngineSettings(engine, gpu="none")) for engine in ("torch", "caffe"))
        compare(folder / "alike", TRAINED[0], *engines)

    return Pair(ours, theirs, check)


def pycaffe(caffe: Caffe, script: str, *arguments: str | Path, output: Path | None = None) -> Program:
    """Return a bare script under Caffe's own Python."""
    return Program([caffe.python, PEERS / script, *arguments], output=output, env=caffe.environment)


def same_posteriors(ours: Any, theirs: Any) -> None:
    """Raise if posteriors differ, or are all equal."""
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=MOST_APART)
    if np.ptp(theirs) < LEAST_SPREAD:
        raise SystemExit(f"these posteriors are all equal, so they show nothing: {theirs}")


def people(folder: Path) -> Path:
    """Prepare a set of drawn identities; return its folder."""
    draw_identities(folder / "people", 3, 12, seed=0)
    prepare(folder / "people", folder / "identities", ["--labels", "identities", "-r", "rgb"])
    return folder / "identities"


def emotions(folder: Path, representations: list[str]) -> Path:
    """Prepare a set of drawn expressions with `VALIDATING` validation images; return its folder."""
    source, prepared = folder / "expressions", folder / "emotions"
    draw_expressions(source, 10, 4, seed=0)
    for name in ("Sad", "Surprise"):  # nine tenths of 40 are 36, of 39 they are 35
        sorted((source / name).iterdir())[0].unlink()
    prepare(source, prepared, ["--labels", "emotions", "--val", "0.9", "-r", *representations])
    return prepared


def prepare(source: Path, output: Path, options: list[str]) -> None:
    """Run `emotiw prepare` for a small net."""
    Program([*EMOTIW, "prepare", source, "-o", output, "--size", "64", *options]).run()


def trained(folder: Path, row: str, prepared: Path, iterations: int) -> Path:
    """Fine-tune a row from scratch; return its run folder."""
    how = ["--from", "scratch", "--iterations", str(iterations)]
    Program([*EMOTIW, "finetune", row, "--set", prepared, "-o", folder / "runs", *how]).run()
    return folder / "runs" / row / "finetune"


def reading(run: Run, lmdb: Path) -> Any:
    """Return a run's deploy net with its input replaced by a Data layer."""
    train_val = run.train_val()
    net = deploy(train_val)
    transform = {"crop_size": crop_size(train_val), "mean_file": str(run.folder / "mean.binaryproto")}
    data = {"source": str(lmdb), "batch_size": BATCH, "backend": 1}  # LMDB
    layer = LayerParameter(name="data", type="Data", top=["data", "label"], transform_param=transform, data_param=data)
    net.layer[0].CopyFrom(layer)
    return net


PICTURE = "a pycaffe script: caffe.Classifier, the same picture"
ROWS = {
    "predict-small": Costly(f"`emotiw predict` of one picture, {NET}", PICTURE, predict_small, Limit(1.3)),
    "predict-five": Costly(f"`emotiw predict` of one picture, five nets, {NET}", "", predict_five, Limit(4.5)),
    "predict-vgg_s": Costly("`emotiw predict` of one picture, VGG_S", PICTURE, predict_released, Limit(1300, "peak")),
    "evaluate": Costly(
        f"`emotiw evaluate` of {VALIDATING} images, {NET}",
        "a pycaffe script: Caffe reads the LMDB, forward passes, posteriors as CSV",
        evaluate,
        Limit(2),
    ),
    "table": Costly(f"`emotiw table` of five runs, {VALIDATING} images", "", table),
    "pretrain": Costly(
        f"`emotiw pretrain` of one iteration, {NET}, which is a step of `emotiw reproduce`",
        "`caffe train` of the same solver",
        pretrain,
        Limit(1, bare="+"),
    ),
    "reproduce": Costly(
        f"`emotiw reproduce`, one step: a pre-training of one iteration, {NET}",
        "`caffe train` of the same solver",
        reproduce,
        Limit(1, bare="+"),
    ),
    "reproduce-nothing": Costly("`emotiw reproduce` of one row, nothing to do", "", reproduce_nothing, Limit(1.5)),
    "train": Costly(
        f"{WARM + 2} training iterations, {TRAINED[0]}, batch {TRAINED[1]}, torch engine",
        "`caffe train` of the same solver",
        train,
        Limit(1.2, "peak", "x"),
    ),
}
