"""The folder of the workflow, in which its Snakefile runs.

```
REPRODUCTION/reproduction.json     the configuration
             experiments.csv       the rows, if they are from a user's own table
             sets/                 links to the prepared sets
             runs/<row>/<stage>/   the run folders
             table_<split>/        the results
             logs/, snakemake.log  the output of the steps and of Snakemake
```
"""

import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emotiw.data_prep.prepared_set import PreparedSet
from emotiw.engine import child_process
from emotiw.files import write_text
from emotiw.json_record import write_json
from emotiw.train.experiments import Experiment
from emotiw.train.net_setup import TrainOptions

ASKED, EXPERIMENTS = "reproduction.json", "experiments.csv"


@dataclass(frozen=True)
class Options:
    """Options for all rows.

    Attributes
    ----------
    iterations, epochs, seed
        For every training, instead of its row's; None: the row's.
    experiments
        The file with the rows; None: the shipped rows.
    crops
        The number of crops of each scored image.
    truth
        A file with the labels of the test split, or None.
    jobs, threads
        The number of simultaneous steps, and of threads for each.
    engine
        The flags of the engine, for every step that takes one.
    baseline
        The folder of the baseline of the set of emotions, relative to the reproduction; empty if there is none.
    snakemake
        Further arguments for Snakemake.
    """

    iterations: int | None = None
    epochs: float | None = None
    seed: int | None = None
    experiments: Path | None = None
    crops: int = 1
    truth: Path | None = None
    jobs: int = 1
    threads: int = 1
    engine: tuple[str, ...] = ()
    baseline: str = ""
    snakemake: tuple[str, ...] = ()

    @property
    def training(self) -> TrainOptions:
        """The options of every training that override its row."""
        return TrainOptions(iterations=self.iterations, seed=self.seed, epochs=self.epochs)


def splits_of(emotions: PreparedSet) -> list[str]:
    """Return the splits that are scored: val, and test if the set has it."""
    return ["val", "test"] if emotions.count("test") else ["val"]


def lay_out(folder: Path, rows: Iterable[Experiment], sets: Mapping[str, PreparedSet], options: Options) -> None:
    """Write the configuration and the links of the workflow into `folder`.

    Parameters
    ----------
    sets
        The prepared set of each stage to run.

    Raises
    ------
    EmotiwError
        If the set of emotions has no validation split, on which the ensemble's weights are fitted, or if there is a
        file of test labels but no test split.
    """
    emotions = sets["finetune"]
    emotions.lmdb(emotions.facts.representations[0], "val")
    if options.truth:
        emotions.lmdb(emotions.facts.representations[0], "test")
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / ASKED, _configuration(rows, sets, options))
    if options.experiments:  # a copy, so that later edits do not change this experiment
        write_text(folder / EXPERIMENTS, options.experiments.read_text(encoding="utf-8-sig"))
    links = {stage: one.folder for stage, one in sets.items()} | ({"truth": options.truth} if options.truth else {})
    (folder / "sets").mkdir(parents=True, exist_ok=True)
    for name, target in links.items():
        link = folder / "sets" / name
        link.unlink(missing_ok=True)
        link.symlink_to(target.resolve())


def _configuration(rows: Iterable[Experiment], sets: Mapping[str, PreparedSet], options: Options) -> dict[str, object]:
    """Return the Snakefile's `config`; the command lines in it are quoted for the shell."""
    truth = {"test": "sets/truth"} if options.truth else {}

    def fingerprint(row: Experiment, stage: str) -> str:
        iterations = options.training.iterations_of(row, stage, sets[stage])
        return f"{row.recipe(stage)} {sets[stage].digest} {iterations} {options.training.seed_of(row, stage)}"

    return {
        "rows": {row.row: {stage: fingerprint(row, stage) for stage in sets} for row in rows},
        "stages": list(sets),
        "splits": (splits := splits_of(sets["finetune"])),
        "scored": sets["finetune"].digest,
        "truth": truth,
        "threads": options.threads,
        "leash": _quoted([sys.executable, "-I", "-S", child_process.__file__]),
        "emotiw": _quoted([sys.executable, "-P", "-m", "emotiw"]),  # -P: ignore a folder emotiw in the current one
        "training": _flags(
            {
                "--experiments": EXPERIMENTS if options.experiments else None,
                "--iterations": options.iterations,
                "--epochs": options.epochs,
                "--seed": options.seed,
            }
        ),
        "scoring": {split: _flags({"--crops": options.crops, "--truth": truth.get(split)}) for split in splits},
        "engine": _quoted(options.engine),
        "baseline": options.baseline,
    }


def _flags(values: Mapping[str, object]) -> str:
    """Return the flags that have a value, quoted for the shell."""
    given = {flag: str(value) for flag, value in values.items() if value is not None and value != ""}
    return _quoted([word for pair in given.items() for word in pair])


def _quoted(words: Sequence[str]) -> str:
    """Return a command line for the shell, by way of Snakemake's formatting."""
    return shlex.join(words).replace("{", "{{").replace("}", "}}")
