"""The installed package."""

import ast
import re
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("lbp_mapping", "prototxt", "data_prep", "engine", "train", "evaluate")


def test_every_part_says_what_it_is():
    for folder in FOLDERS:
        assert ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text(encoding="utf-8")))


def test_the_wheel_installs_emotiw_alone(tmp_path):
    source = tmp_path / "source"
    subprocess.run(["git", "-C", str(ROOT), "checkout-index", "-a", f"--prefix={source}/"], check=True)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
    ]
    subprocess.run([*command, str(source)], check=True, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"emotiw"}
    for file in (
        "emotiw/py.typed",
        "emotiw/lbp_mapping/cyclic_lbp.csv",
        "emotiw/prototxt/formats/messages.csv",
        "emotiw/prototxt/vgg_s/deploy.prototxt",
        "emotiw/prototxt/googlenet/README.md",
        "emotiw/engine/caffe/install/debian11.lock",
        "emotiw/engine/caffe/install/run",
        "emotiw/engine/caffe/worker.py",
        "emotiw/train/experiments.csv",
        "emotiw/evaluate/table/report.html",
        "emotiw/evaluate/table/published.csv",
    ):
        assert file in names


def test_no_host_and_no_path_of_a_machine_is_written_down():
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files"], check=True, capture_output=True, text=True).stdout
    hosts = [name + ".org" for name in ("pypi", "pythonhosted", "debian", "npmjs")]
    for name in listed.split("\n"):
        path = ROOT / name
        if path.is_file() and path.suffix not in {".png"}:
            text = path.read_text(encoding="utf-8", errors="replace")
            assert not [host for host in hosts if host in text], name


def test_torch_is_imported_by_its_engine_alone():
    """Without it everything else works: it is an extra."""
    for folder in (*FOLDERS, "emotiw"):
        for module in (ROOT / folder).rglob("*.py"):
            text = module.read_text(encoding="utf-8")
            imports = re.search(r"^\s*(?:import|from) torch\b", text, re.MULTILINE)
            assert not imports or module.is_relative_to(ROOT / "engine/torch"), module
