"""The verbs of the command, one small module each: `add_arguments(parser)` and `run(args)`.

Their first docstring line is their help. They import what is heavy only inside `run`.
"""

VERBS = (
    "map",
    "caffe",
    "prepare",
    "pretrain",
    "finetune",
    "evaluate",
    "baseline",
    "table",
    "reproduce",
    "models",
    "predict",
    "explain",
    "serve",
    "demo",
)
