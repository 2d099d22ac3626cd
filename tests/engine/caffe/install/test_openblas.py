"""The selection of OpenBLAS's kernels, with a stand-in for OpenBLAS and an invented cpuinfo."""

import os
import subprocess

import pytest

from emotiw.engine.caffe.install import openblas as module
from emotiw.engine.caffe.install.openblas import kernel

AVX2 = "fpu sse2 avx avx2 fma"
AVX512 = f"{AVX2} avx512f avx512dq avx512cd avx512bw avx512vl"


@pytest.fixture
def chosen(tmp_path, monkeypatch):
    """Return the kernel selected for a Caffe with this output, on a processor with these flags."""

    def choose(words, flags, named="echo Core: $OPENBLAS_CORETYPE >&2"):
        program, cpuinfo = tmp_path / "caffe", tmp_path / "cpuinfo"
        asked = '[ "$1 $OPENBLAS_VERBOSE $MINE" = "--version 2 x" ] || exit 1'
        program.write_text(f'#!/bin/sh\n{asked}\n[ -n "$OPENBLAS_CORETYPE" ] && {named} || {words}\n')
        program.chmod(0o755)
        cpuinfo.write_text(f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t: swapgs\n")
        monkeypatch.setattr(module, "CPUINFO", cpuinfo)
        return kernel(program, {"MINE": "x"})

    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    return choose


@pytest.mark.parametrize(
    ("core", "flags", "named"),
    [
        ("Prescott", AVX512, "SkylakeX"),
        ("Prescott", AVX2, "Haswell"),
        ("Barcelona", AVX2, "Haswell"),
        ("Prescott", AVX512.replace("avx512vl", ""), "Haswell"),
        ("Prescott", "fpu sse2", None),  # really an old processor
        ("Haswell", AVX512, None),  # OpenBLAS knows this processor: its choice stands
        ("Zen", AVX2, None),
        ("Cooperlake", AVX512, None),
    ],
)
def test_a_processor_that_openblas_does_not_know(chosen, core, flags, named):
    expected = {"OPENBLAS_CORETYPE": named} if named else {}
    assert chosen(f"echo Core: {core} >&2", flags) == expected


@pytest.mark.parametrize(
    ("built", "named"),
    [
        ("SkylakeX", {"OPENBLAS_CORETYPE": "SkylakeX"}),
        ("Haswell", {"OPENBLAS_CORETYPE": "Haswell"}),
        ("Atom", {}),
    ],
)
def test_a_kernel_missing_from_this_openblas_is_not_named(chosen, built, named):
    answer = f"{{ [ $OPENBLAS_CORETYPE = {built} ] && echo Core: {built} >&2 || echo Core: Prescott >&2; }}"
    assert chosen("echo Core: Prescott >&2", AVX512, answer) == named


@pytest.mark.parametrize("words", ["echo caffe version 1.0.0", "exit 1", "printf 'Core: Pres\\377' >&2"])
def test_another_blas_is_left_alone(chosen, words):
    assert chosen(words, AVX512) == {}


def test_what_the_user_names_stays(chosen, monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Nehalem")
    assert chosen("exit 1", AVX512) == {}


def test_a_program_that_is_not_there_and_a_system_without_proc(monkeypatch, tmp_path):
    monkeypatch.delenv("OPENBLAS_CORETYPE", raising=False)
    assert kernel(tmp_path / "caffe", {}) == {}
    monkeypatch.setattr(module, "CPUINFO", tmp_path / "cpuinfo")
    assert kernel(tmp_path / "caffe", {}) == {}


@pytest.mark.caffe
def test_the_real_openblas_takes_the_named_kernel(caffe):
    """On any processor of the last ten years the kernels use AVX2, selected by OpenBLAS or by us."""
    if not module._possible():
        assert "OPENBLAS_CORETYPE" not in caffe.environment
        return
    said = subprocess.run(
        [caffe.program, "--version"],
        env={**os.environ, **caffe.environment, "OPENBLAS_VERBOSE": "2"},
        capture_output=True,
        text=True,
    )
    assert said.stderr.removeprefix("Core: ").strip() in {"SkylakeX", "Cooperlake", "Haswell", "Zen", "Excavator"}
