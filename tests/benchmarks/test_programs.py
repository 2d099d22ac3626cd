"""The measurements of programs."""

import subprocess
import sys

import pytest

BURN = "import time; exec('while time.process_time() < 0.3: pass')"
HOLD = "import sys; held = b'x' * 200_000_000; print('ready', flush=True); sys.stdin.read()"


def test_the_processor_time_of_what_a_program_starts_is_its_own(load):
    spent = load("programs").Program(["sh", "-c", f'"{sys.executable}" -c "{BURN}"; true']).run()
    assert spent.cpu >= 0.3
    assert spent.seconds > 0


def test_the_memory_of_what_a_program_starts_is_its_own(load):
    programs = load("programs")
    command = ["sh", "-c", f'"{sys.executable}" -c "{HOLD}"; true']
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "ready\n"
        family = programs.descendants(child.pid)
        assert len(family) == 2
        assert sum(map(programs.memory, family)) > 200_000_000
        child.stdin.close()
    assert programs.memory(child.pid) == 0


def test_a_peak_is_of_a_program_to_its_end(load, tmp_path):
    output = tmp_path / "said"
    assert load("programs").Program(["sh", "-c", "sleep 0.2; echo done"], output=output).peak() > 0
    assert output.read_text() == "done\n"


def test_a_program_that_fails_stops_the_measuring(load):
    program = load("programs").Program
    with pytest.raises(SystemExit, match="ended with 3: what went wrong"):
        program(["sh", "-c", "echo what went wrong >&2; exit 3"]).run()
    program(["sh", "-c", "exit 3"], status=3).run()


@pytest.mark.caffe
def test_a_tool_of_caffe_starts_without_a_shell(load, caffe):
    command = load("programs").tool(caffe, "compute_image_mean")
    assert "run" not in {str(word).rpartition("/")[2] for word in command}
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Compute the mean_image" in done.stdout
