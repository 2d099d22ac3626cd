"""The settings of an engine: which one, and on which device."""

from dataclasses import dataclass

ENGINES = ("caffe", "torch")
"""The engines by name; the first is the reference and the default."""

PRECISIONS = ("float32", "tf32", "bf16")
"""The precisions; the first is Caffe's, and the default."""

MEANS = ("resize", "crop", "channel")
"""The keys of `preprocessing.MEAN_RULES`."""


@dataclass(frozen=True)
class EngineSettings:
    """Everything that `open_engine` needs to open an engine; an engine returns its own as `settings`.

    Attributes
    ----------
    engine
        One of `ENGINES`.
    caffe
        The Caffe for `find_caffe`: a program, or the folder of a build; None: the first that is found.
    gpu
        The GPUs for training: "0", "0,1", "all" or "none"; empty: none for Caffe, the first, if any, for torch.
    precision
        One of `PRECISIONS`; Caffe has only the first.
    """

    engine: str = ENGINES[0]
    caffe: str | None = None
    gpu: str = ""
    precision: str = PRECISIONS[0]


DEFAULT = EngineSettings()
"""The first real Caffe that is found, on the CPU."""
