"""Build emotiw: the folders of the checkout are the sub-packages of one import root."""

import sysconfig
from pathlib import Path

from setuptools import Extension, setup

FOLDERS = {
    "emotiw": "emotiw",
    "emotiw.commands": "emotiw/commands",
    "emotiw.lbp_mapping": "lbp_mapping",
    "emotiw.prototxt": "prototxt",
    "emotiw.prototxt.formats": "prototxt/formats",
    "emotiw.prototxt.zoo": "prototxt/zoo",
    "emotiw.data_prep": "data_prep",
    "emotiw.data_prep.archives": "data_prep/archives",
    "emotiw.data_prep.layouts": "data_prep/layouts",
    "emotiw.data_prep.synthetic": "data_prep/synthetic",
    "emotiw.engine": "engine",
    "emotiw.engine.caffe": "engine/caffe",
    "emotiw.engine.caffe.install": "engine/caffe/install",
    "emotiw.engine.onnx": "engine/onnx",
    "emotiw.engine.torch": "engine/torch",
    "emotiw.engine.torch.layers": "engine/torch/layers",
    "emotiw.engine.torch.pycaffe": "engine/torch/pycaffe",
    "emotiw.engine.torch.pycaffe.proto": "engine/torch/pycaffe/proto",
    "emotiw.engine.torch.data": "engine/torch/data",
    "emotiw.engine.torch.solver": "engine/torch/solver",
    "emotiw.train": "train",
    "emotiw.train.reproduce": "train/reproduce",
    "emotiw.evaluate": "evaluate",
    "emotiw.evaluate.released": "evaluate/released",
    "emotiw.evaluate.baseline": "evaluate/baseline",
    "emotiw.evaluate.table": "evaluate/table",
    "emotiw.evaluate.predict": "evaluate/predict",
    "emotiw.evaluate.serve": "evaluate/serve",
}

# Products must be rounded before they are added, or codes change. These flags come after those of $CFLAGS.
ROUNDED = ["-fno-fast-math", "-ffp-contract=off"]

# Optional: if it cannot be compiled, NumPy maps. One build is for every Python from 3.11 on (the limited API), except
# the free-threaded ones, which do not have that interface.
KERNELS = Extension(
    "emotiw.lbp_mapping._kernels",
    ["lbp_mapping/kernels.c"],
    define_macros=[("Py_LIMITED_API", "0x030B0000")],
    py_limited_api=True,
    extra_compile_args=["-std=c11", "-O3", "-Werror=implicit-function-declaration", *ROUNDED],
    optional=True,
)
WHEEL = {} if sysconfig.get_config_var("Py_GIL_DISABLED") else {"py_limited_api": "cp311"}

EXPORT = ["onnx>=1.16,<2"]  # `emotiw export`
REPRODUCE = ["snakemake>=9.5,<10"]  # `emotiw reproduce`
SERVE = ["gradio>=6,<7"]  # `emotiw serve`

setup(
    name="emotiw",
    version="0.1.0",
    description="Levi & Hassner (ICMI 2015), redone on Caffe: mapped binary patterns and CNNs for emotions",
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="BSD-2-Clause",
    python_requires=">=3.11",
    packages=list(FOLDERS),
    package_dir=FOLDERS,
    ext_modules=[KERNELS],
    options={"bdist_wheel": WHEEL},
    package_data={
        "emotiw": ["py.typed"],
        "emotiw.lbp_mapping": ["*.csv"],
        "emotiw.prototxt": ["*/*.prototxt", "*/*.md"],
        "emotiw.prototxt.formats": ["*.csv"],
        "emotiw.engine.caffe.install": ["*.lock", "run"],
        "emotiw.train": ["*.csv"],
        "emotiw.train.reproduce": ["Snakefile"],
        "emotiw.evaluate.released": ["*.csv"],
        "emotiw.evaluate.table": ["*.csv", "*.html"],
        "emotiw.evaluate.serve": ["*.css", "*.html"],
    },
    install_requires=[
        "numpy>=1.26,<3",
        "scipy>=1.11,<2",
        "scikit-learn>=1.4,<2",
        "pot>=0.9.4,<1",  # the oracle of the distances: `emotiw map --derive` checks against it
        "opencv-python-headless>=4.8,<5",  # 5.0 dropped Caffe's reader and the cascades
        "protobuf>=4.25,<8",
        "lmdb>=1.4,<4",
        "msgspec>=0.19,<1",  # records and tables by their declared types
        "matplotlib>=3.8,<4",
        "pillow>=9.1",  # as pycaffe's load_image; matplotlib needs it, too
        "gdown>=6.1,<7",  # `emotiw models fetch`
        "jinja2>=3.1,<4",
        "tabulate>=0.9,<1",
        "tqdm>=4.66,<5",
    ],
    extras_require={
        "export": EXPORT,
        "reproduce": REPRODUCE,
        "serve": SERVE,
        # `--engine torch`; outside the lock: each machine's wheel is another
        "torch": ["torch==2.13.0", "h5py>=3.10,<4"],
        "test": [
            *EXPORT,
            *REPRODUCE,
            *SERVE,
            "hypothesis>=6.100,<7",
            "mypy>=1.10",
            "onnxruntime>=1.18,<2",
            "playwright>=1.45,<2",
            "pyperf>=2.8,<3",
            "pytest>=8",
            "pytest-xdist>=3.5,<4",
            "ruff>=0.6",
            "scikit-image>=0.22",
            "setuptools>=65",
            "types-protobuf",
            "types-tabulate",
            "types-tqdm",
            "wheel",
        ],
    },
    entry_points={"console_scripts": ["emotiw = emotiw.__main__:main"]},
)
