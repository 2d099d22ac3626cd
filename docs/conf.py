"""Sphinx's settings: `make docs` builds README, CHANGELOG and the pages of docs/ into site/.

The source folder is the checkout, not docs/: a link such as `../CHANGELOG.md` then works on the site as it works on a
repository's page. A link to a file that is no page, such as `../LICENSE`, becomes a download.
"""

import ast
import re
from importlib.util import resolve_name
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.writers.html5 import HTML5Translator

from emotiw.version import __version__

ROOT = Path(__file__).parents[1]

# The packages whose public names the site describes.
PACKAGES = [
    "emotiw",
    "emotiw.lbp_mapping",
    "emotiw.data_prep",
    "emotiw.data_prep.synthetic",
    "emotiw.prototxt",
    "emotiw.engine",
    "emotiw.train",
    "emotiw.evaluate",
    "emotiw.evaluate.predict",
]

# The groups of the navigation, by task, and their pages as Sphinx's toctree names them, from ROOT.
NAVIGATION = {
    "Start": ["Overview </README>", "/docs/pipeline", "/docs/python", "/docs/docker"],
    "Reproduce the paper": [
        "/docs/reproduce",
        "/docs/cluster",
        "/docs/recipes",
        "/docs/torch_engine",
        "/docs/deviations",
    ],
    "Run the models": ["/docs/your_own_faces", "/docs/released_models", "/docs/export", "/docs/preprocessing_mistakes"],
    "Prepare your data": ["/docs/layouts"],
    "Results": [
        "/docs/report",
        "/docs/fer2013",
        "/docs/real_faces",
        "/docs/benchmarks",
        "Records of experiments </results/README>",
    ],
    "Extend": ["/docs/architecture", "/CONTRIBUTING", "/CHANGELOG"],
    "Python API": [f"/docs/api/{package}" for package in PACKAGES],
    "Model cards": ["/prototxt/*/*"],
}

project = "emotiw"
version = release = __version__
project_copyright = "the emotiw developers"

extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc"]
root_doc = "docs/index"
# Sphinx reads nothing else in ROOT: an environment and prepared sets have hundreds of thousands of files. The tables in
# results/ are in the pages.
exclude_patterns = [
    "results/*/*",
    *sorted(
        path.name
        for path in ROOT.iterdir()
        if path.name not in {"README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs", "prototxt", "results"}
    ),
]

myst_heading_anchors = 4  # the anchors of headings, as repository pages form them
highlight_language = "text"  # most blocks show a command and what it prints
rst_prolog = ".. highlight:: python"  # in docstrings

default_role = "py:obj"  # `name` in a docstring: a link if the name is documented, else code
autodoc_default_options = {"members": True}
autodoc_typehints = "none"  # docstrings say shape, dtype and range as well
numpydoc_show_class_members = False  # autodoc lists them
python_maximum_signature_line_length = 88

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
templates_path = ["theme"]
html_static_path = ["theme/wide.css"]
html_css_files = ["wide.css"]
html_title = f"emotiw {__version__}"
html_additional_pages = {"index": "to_the_first_page.html"}
html_sidebars = {"**": ["navigation.html"]}
html_theme_options = {
    "logo": {"text": "emotiw"},
    "navbar_center": [],
    "footer_end": [],
}
html_context = {"default_mode": "auto"}
html_copy_source = False
html_show_sourcelink = False


def setup(app: Sphinx) -> None:
    """Register the renderer of formulas and the event handlers."""
    app.add_html_math_renderer("mathml", (_write_math, None), (_write_math, None))
    app.connect("builder-inited", _document_constants)
    app.connect("source-read", _adapt)


def _write_math(translator: HTML5Translator, node: nodes.math | nodes.math_block) -> None:
    """Write MathML, which browsers show by themselves; MathJax would come from elsewhere."""
    translator.body.append(tex2mathml(node.astext(), as_block=isinstance(node, nodes.math_block)))
    raise nodes.SkipNode


def _adapt(app: Sphinx, page: str, source: list[str]) -> None:
    """Add the navigation to the first page, and show the front matter of a model card."""
    if page == app.config.root_doc:
        source[0] += "".join(map(_toctree, NAVIGATION, NAVIGATION.values()))
    if page.startswith("prototxt/"):
        source[0] = re.sub(r"\A---\n(.*?)^---\n+(# .*?\n)", r"\2\n```yaml\n\1```\n", source[0], flags=re.S | re.M)


def _toctree(caption: str, pages: list[str]) -> str:
    return "\n".join(["", "```{toctree}", f":caption: {caption}", ":hidden:", ":glob:", "", *pages, "```", ""])


def _document_constants(app: Sphinx) -> None:
    """Give a package the texts below the constants that it exports: autodoc looks for them in the package only."""
    for package in PACKAGES:
        exporting = ModuleAnalyzer.for_module(package)
        exporting.analyze()
        for statement in ast.walk(ast.parse(exporting.code)):
            if isinstance(statement, ast.ImportFrom):
                module = "." * statement.level + (statement.module or "")
                home = ModuleAnalyzer.for_module(resolve_name(module, package))
                home.analyze()
                exported = {("", name.name) for name in statement.names}
                exporting.attr_docs |= {key: text for key, text in home.attr_docs.items() if key in exported}
