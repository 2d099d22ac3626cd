"""Which engine computes, and on what: settings as data."""

from dataclasses import dataclass

ENGINES = ("caffe", "torch")
"""The engines by name; the first is the reference and the default."""

PRECISIONS = ("float32", "tf32", "bf16")
"""What an engine may compute in; the first is Caffe's, and the default."""


@dataclass(frozen=True)
class EngineSettings:
    """All that decides which engine `open_engine` opens; an engine's own are its `settings`.

    Attributes
    ----------
    engine
        One of `ENGINES`.
    caffe
        Which Caffe, for `find_caffe`: a program, or the folder of a build; None: the first that is found.
    gpu
        Which GPUs train: "0", "0,1", "all"; empty: for Caffe none, for torch the first where there is one; "none".
    precision
        One of `PRECISIONS`; Caffe has the first alone.
    """

    engine: str = ENGINES[0]
    caffe: str | None = None
    gpu: str = ""
    precision: str = PRECISIONS[0]


DEFAULT = EngineSettings()
"""The real Caffe, wherever it is found, on the CPU."""
