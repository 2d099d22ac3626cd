"""Every name of the real pycaffe is in the table of docs/torch_engine.md, which says whether it is here."""

import json
import re
from pathlib import Path

import pytest

from emotiw.engine.caffe.programs import start
from emotiw.engine.child_process import running
from emotiw.engine.torch import pycaffe as caffe_here
from emotiw.errors import EmotiwError

PAGE = (Path(__file__).parents[4] / "docs/torch_engine.md").read_text(encoding="utf-8")
TABLE = {
    of: [re.findall(r"`(\w+)`", cell) for cell in cells]
    for of, *cells in re.findall(
        r"^\| `([\w.]+)`[^|]* \| (`.*) \| (.*) \| (.*) \|$", PAGE.split("**pycaffe's interface.**")[1], re.M
    )
}
# pydot is not in Caffe's own Python, and `draw` imports it.
NAMES = """import json
import sys
import types
sys.modules["pydot"] = types.ModuleType("pydot")
import caffe
import caffe.coord_map
import caffe.draw
from caffe.proto import caffe_pb2
found = {"caffe": caffe, "Blob": caffe._caffe.Blob}
found.update((f"caffe.{name}", getattr(caffe, name)) for name in ("io", "coord_map", "draw", "net_spec"))
found.update((name, getattr(caffe, name)) for name in ("Net", "Layer", "SGDSolver", "Timer"))
found["caffe_pb2"] = caffe_pb2
print(json.dumps({of: [name for name in dir(each) if not name.startswith("__") or name == "__version__"]
                  for of, each in found.items()}))
"""
NET = 'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 } } }'


@pytest.fixture(scope="module")
def theirs(caffe):
    with running(start(caffe, [caffe.python, "-c", NAMES], stdout=-1, stderr=-1)) as child:
        said, complaint = child.communicate()
    assert child.returncode == 0, complaint.decode()[-2000:]
    return json.loads(said)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """What each row of the table is about, here."""
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(NET)
    Path("solver.prototxt").write_text('net: "net.prototxt" base_lr: 1 lr_policy: "fixed"')
    net = caffe_here.Net("net.prototxt", caffe_here.TEST)
    made = {"caffe": caffe_here, "Net": net, "Blob": net.blobs["x"], "Layer": caffe_here.Layer(None)}
    made |= {f"caffe.{name}": getattr(caffe_here, name) for name in ("io", "coord_map", "draw", "net_spec")}
    return made | {"SGDSolver": caffe_here.SGDSolver("solver.prototxt"), "Timer": caffe_here.Timer()}


@pytest.mark.caffe
def test_the_table_has_every_name_of_pycaffe(theirs):
    recorded = {of: sorted(name for cell in cells for name in cell) for of, cells in TABLE.items()}
    assert recorded == {of: sorted(names) for of, names in theirs.items() if of != "caffe_pb2"}


@pytest.mark.caffe
def test_all_messages_are_there(theirs):
    ours = caffe_here.proto.caffe_pb2
    public = [name for name in theirs["caffe_pb2"] if not name.startswith("_") and name != "enum_type_wrapper"]
    assert len(public) > 60
    assert [name for name in public if not hasattr(ours, name)] == []


@pytest.mark.parametrize("of", TABLE)
def test_a_name_is_there_refused_or_absent_as_the_table_says(here, of):
    there, refused, absent = TABLE[of]
    assert [name for name in there if not hasattr(here[of], name)] == []
    assert [name for name in absent if hasattr(here[of], name)] == []
    for name in refused:
        with pytest.raises(EmotiwError, match=f"caffe.{name} is not offered on torch"):
            getattr(here[of], name)()
