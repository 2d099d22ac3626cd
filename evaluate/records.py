"""Copies of the records of scored runs that can be committed: no weights, no path of this machine.

```
OUTPUT/<row>/<stage>/run.json              the training, with digests of sets, LMDBs and model
                     scores_<split>.csv    a byte-identical copy
                     scores_<split>.json   how the scores were made
                     progress.csv          a byte-identical copy
OUTPUT/released/<NAME>/, OUTPUT/baseline/<digest>/    their scores, in the same way
```

A path in a record is replaced by a set's name and the path in the set (`fer2013/rgb/train_lmdb`), by a relative path to
another run (`../pretrain/model.caffemodel`), or by `elsewhere/<name>`. Digests and sizes stay; times and inodes have no
meaning on another machine and become 0.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from emotiw.errors import EmotiwError
from emotiw.evaluate.baseline.baseline import Protocol as BaselineProtocol
from emotiw.files import refuse_foreign, sha256_of, whole
from emotiw.inputs import MANIFEST, RUN, Input, Look, read_sealed, sealed
from emotiw.train.run_folder import STAGES, Facts, Run, find_runs

from .recorded import require_same
from .scoring import Protocol, protocol_file, read_evaluation, read_scores_of, scores_file, titles

_ELSEWHERE = "elsewhere"


@dataclass(frozen=True)
class Copied:
    """A copied folder of records: source, copy, the names of its scores, and whether anything was written."""

    source: Path
    folder: Path
    scores: list[str]
    written: bool


def copy_records(
    runs: Path,
    output: Path,
    stage: str = "finetune",
    rows: Sequence[str] | None = None,
    *,
    force: bool = False,
    look: Look = Look.CHANGED,
) -> list[Copied]:
    """Copy the records of all scored runs of a stage in `runs`, or only of `rows`, into `output`.

    Without `rows`, the scores of released models and of baselines in `runs` are also copied. Nothing is written unless
    all records can be; each folder is replaced in one step.

    Parameters
    ----------
    force
        Whether to replace records of other runs.
    look
        How much is hashed to check that a run is the one that was scored.

    Raises
    ------
    EmotiwError
        If nothing is scored, a record cannot be read, a run is not the one that was scored, or `output` has a
        different record, weights, or something else.
    """
    found = {run.folder: run for run in find_runs(runs, stage) if rows is None or run.folder.parent.name in rows}
    if missing := set(rows or ()) - {folder.parent.name for folder in found}:
        raise EmotiwError(f"{runs} has no {stage} run of {min(missing)}: name an existing row")
    others = [] if rows is not None else [path for kind in ("released", "baseline") for path in runs.glob(f"{kind}/*/")]
    records = {folder: _records(folder, run, look) for folder, run in found.items() if titles(folder)}
    records |= {folder: _records(folder, None, look) for folder in sorted(others) if titles(folder)}
    unscored = [folder.parent.name for folder in found if folder not in records]
    if not records or (rows is not None and unscored):
        which = f"{unscored[0]} has" if unscored else "no run has"
        raise EmotiwError(f"{runs}: {which} no scores yet: make them with emotiw evaluate RUN --set SET")
    places = {folder: output / folder.relative_to(runs) for folder in records}
    changed = {folder: _changes(places[folder], files, force=force) for folder, files in records.items()}
    for folder, files in records.items():
        if changed[folder]:
            with whole(places[folder]) as temporary:
                temporary.mkdir(parents=True)
                for name, content in files.items():
                    (temporary / name).write_bytes(content)
    return [Copied(folder, places[folder], titles(folder), changed[folder]) for folder in records]


def _changes(folder: Path, files: Mapping[str, bytes], *, force: bool) -> bool:
    """Return whether a folder of records lacks any of `files`; raise if it has other files or contents."""
    held = {path.name: path for path in folder.iterdir()} if folder.is_dir() else {}
    if any(Path(name).suffix in (".caffemodel", ".prototxt", ".solverstate") for name in held):
        raise EmotiwError(f"{folder} has a run with its nets or weights: name another output")
    refuse_foreign(folder, "a folder of records", not held or "run.json" in held or bool(titles(folder)))
    for name, path in held.items():
        if not force and (path.is_dir() or files.get(name) != path.read_bytes()):
            raise EmotiwError(f"{folder} has another record ({name} differs): give --force to replace the folder")
    return held.keys() != files.keys() or any(files[name] != path.read_bytes() for name, path in held.items())


def _records(folder: Path, run: Run | None, look: Look) -> dict[str, bytes]:
    """Return the files of a folder's records, by name."""
    facts = run.facts() if run else None
    files: dict[str, bytes] = {}
    if facts:
        files["run.json"] = _text(_Portable(folder, facts).facts(facts))
        if (progress := folder / "progress.csv").is_file():
            files["progress.csv"] = progress.read_bytes()
    for title in titles(folder):
        protocol = _protocol(folder, title, baseline=run is None and folder.parent.name == "baseline")
        require_same(protocol.inputs, folder, run, look)
        values = _Portable(folder, facts).protocol(protocol, files.get("run.json", b""))
        files[protocol_file(folder, title).name] = _text(values)
        content = files[scores_file(folder, title).name] = scores_file(folder, title).read_bytes()
        if protocol.scores_sha256 not in ("", sha256_of(content)):
            raise EmotiwError(
                f"{scores_file(folder, title)} was replaced while it was read: run the same command again"
            )
    return files


def _protocol(folder: Path, title: str, *, baseline: bool) -> Protocol | BaselineProtocol:
    """Return the protocol of scores, after a check that they are the recorded ones."""
    if not baseline:
        return read_evaluation(folder, title)[0]
    try:
        protocol = read_sealed(protocol_file(folder, title), BaselineProtocol)
    except (OSError, ValueError) as error:
        raise EmotiwError(f"{protocol_file(folder, title)} is damaged ({error}): make the baseline again") from None
    read_scores_of(folder, title, protocol.scores_sha256)
    return protocol


def _text(values: Mapping[str, object]) -> bytes:
    return (json.dumps(sealed(values), indent=1) + "\n").encode()


class _Portable:
    """Rewrites the records of a folder without paths of this machine."""

    def __init__(self, folder: Path, facts: Facts | None) -> None:
        self._folder = folder
        self._sets = {Path(stage.set_folder) for stage in facts.stages} if facts else set()

    def facts(self, facts: Facts) -> dict[str, object]:
        """Return the values of a `run.json`."""
        return self._values(asdict(replace(facts, inputs=self._inputs(facts.inputs))))

    def protocol(self, protocol: Protocol | BaselineProtocol, run: bytes) -> dict[str, object]:
        """Return the values of a `scores_<split>.json`; `run` is the text of the `run.json` beside it."""
        self._sets.add(Path(protocol.set_folder))
        inputs = [
            replace(one, size=len(run), sha256=sha256_of(run)) if one.role == RUN and run else one
            for one in self._inputs(protocol.inputs)
        ]
        return self._values(asdict(replace(protocol, inputs=inputs)))

    def _inputs(self, inputs: Sequence[Input]) -> list[Input]:
        """Return inputs without times and inodes; also note the folders of their manifests as folders of sets."""
        self._sets |= {Path(one.path).parent for one in inputs if one.role == MANIFEST and Path(one.path).is_absolute()}
        return [replace(one, mtime_ns=0, inode=0) for one in inputs]

    def _values(self, values: dict[str, object]) -> dict[str, object]:
        found = {key: self._value(value) for key, value in values.items()}
        for text in _strings(found):
            if any(
                str(place) in text for place in (*self._sets, self._folder.resolve(), Path.home()) if place.parts[2:]
            ):
                raise EmotiwError(
                    f"{self._folder}: {text!r} in its record is a path of this machine that cannot be replaced: leave "
                    "the run out with --rows"
                )
        return found

    def _value(self, value: object) -> object:
        if isinstance(value, dict):
            return {key: self._value(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self._value(one) for one in value]
        return self._place(Path(value)) if isinstance(value, str) and value.startswith("/") else value

    def _place(self, path: Path) -> str:
        """Return an absolute path as a path relative to a run or a set, or as `elsewhere/<name>`."""
        if path.parent.name in STAGES:  # another run's model
            here = Path(*self._folder.parts[-2:])
            return os.path.relpath(Path(*path.parts[-3:]), here)
        for folder in self._sets:
            if path.is_relative_to(folder):
                return str(folder.name / path.relative_to(folder))
        return f"{_ELSEWHERE}/{path.name}"


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _strings(one)
