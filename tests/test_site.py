"""The site that `make docs` builds: no warning, no request to elsewhere, every link and public name there."""

import ast
import re
import shlex
import shutil
import subprocess
import sys
import threading
import tomllib
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[1]
SETTINGS = (ROOT / "docs/conf.py").read_text(encoding="utf-8")
WIDTHS = (1280, 390)
slow = pytest.mark.slow  # the site is built, in a minute
REFERENCES = {"src", "href", "poster", "data", "action"}


def packages() -> list[str]:
    """Return the packages whose public names the site describes."""
    (found,) = re.findall(r"^PACKAGES = (\[.+?\])", SETTINGS, re.S | re.M)
    return ast.literal_eval(found)


class Page(HTMLParser):
    """The anchors of a page, where its links lead, and the files that a browser fetches for it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value for name, value in attributes if value}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        references = [values[name] for name in REFERENCES & values.keys()]
        references += [source.split()[0] for source in values.get("srcset", "").split(",") if source]
        (self.links if tag == "a" else self.fetched).extend(references)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built by the command of `make docs`, which ends with the folder."""
    (command,) = re.findall(
        r"^\t\$\(BIN\)/sphinx-build (.+) site$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M
    )
    words = shlex.split(command)
    folder = tmp_path_factory.mktemp("site")
    words[words.index("--doctree-dir") + 1] = str(folder / "doctrees")
    program = Path(sys.executable).with_name("sphinx-build")
    done = subprocess.run([program, *words, folder / "site"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return folder / "site"


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html")) if "_static" not in path.parts}


@slow
def test_every_page_of_ours_is_there(site):
    sources = [*ROOT.glob("docs/*.md"), *ROOT.glob("prototxt/*/README.md")]
    sources += [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "results/README.md")]
    assert len(sources) > 20
    assert [path for path in sources if not (site / path.relative_to(ROOT)).with_suffix(".html").is_file()] == []


@slow
def test_nothing_comes_from_elsewhere(site, pages):
    fetched = {name for page in pages.values() for name in page.fetched}
    assert len(fetched) > 10
    assert [name for name in fetched if urlsplit(name).scheme not in ("", "data") or name.startswith("//")] == []
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert re.findall(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//[^)]*", text) == [], style


@slow
def test_every_link_and_picture_leads_somewhere(site, pages):
    followed = 0
    for path, page in pages.items():
        for link in [*page.links, *page.fetched]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.is_file(), (path, link)
            assert target.is_relative_to(site.resolve()), (path, link)
            if parts.fragment and target in pages:
                assert unquote(parts.fragment) in pages[target].anchors, (path, link)
            followed += 1
    assert followed > 1000


@slow
def test_the_pictures_of_the_pages_are_there(site, pages):
    shown = {name.rpartition("/")[2] for page in pages.values() for name in page.fetched if "_images/" in name}
    assert shown == {path.name for path in (ROOT / ".pictures").glob("*.png")}


@slow
@pytest.mark.parametrize("package", packages())
def test_every_public_name_is_described(pages, site, package):
    anchors = pages[site / f"docs/api/{package}.html"].anchors
    public = set(import_module(package).__all__) - {"__version__"}
    assert public
    assert {name for name in public if f"{package}.{name}" not in anchors} == set()


@slow
def test_a_constant_has_its_text_and_a_formula_is_drawn_without_a_script(site):
    page = (site / "docs/api/emotiw.lbp_mapping.html").read_text(encoding="utf-8")
    assert "four representations that are mapped LBP codes" in page
    assert page.count("<math ") >= 4
    assert "mathjax" not in page.lower()


@slow
def test_a_model_card_shows_where_the_model_is_from(site):
    assert "gist.github.com/GilLevi" in (site / "prototxt/vgg_s/README.html").read_text(encoding="utf-8")


@slow
def test_the_first_page_is_found(site):
    (target,) = re.findall(r'url=([^"]+)"', (site / "index.html").read_text(encoding="utf-8"))
    assert (site / target).is_file()


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.fail("no Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


class Quiet(SimpleHTTPRequestHandler):
    """Serves files without a line for each."""

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture(scope="module")
def url(site):
    """Where the site is served: on loopback, as browsers let no script read a file."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def icon(message) -> bool:
    """Whether a message is of the icon that browsers ask every server for."""
    return message.location["url"].endswith("/favicon.ico")


@pytest.fixture
def tab(browser, url):
    """A page of the browser; a request to elsewhere, or an error, fails the test."""
    with browser.new_context() as context:
        context.set_default_timeout(120_000)  # ms
        tab = context.new_page()
        complaints = []
        tab.on("request", lambda one: one.url.startswith((url, "data:")) or complaints.append(one.url))
        tab.on("requestfailed", lambda one: complaints.append(one.url))
        tab.on("console", lambda one: complaints.append(one.text) if one.type == "error" and not icon(one) else None)
        tab.on("pageerror", lambda one: complaints.append(str(one)))
        yield tab
        assert complaints == []


# The texts that are cut off, where a table or a block of code would scroll.
CUT = """[...document.querySelectorAll(".bd-article :is(h1, h2, h3, h4, p, li, dt, dd)")]
    .filter(each => each.scrollWidth > each.clientWidth + 1).map(each => each.textContent.slice(0, 80))"""


@slow
@pytest.mark.parametrize("width", WIDTHS)
def test_all_of_a_page_is_seen_in_a_window(tab, url, site, pages, width):
    tab.set_viewport_size({"width": width, "height": 900})
    for path in pages.keys() - {site / "index.html"}:  # which leads to the first page at once
        tab.goto(f"{url}/{path.relative_to(site)}")
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, path
        assert tab.evaluate(CUT) == [], path
        assert tab.evaluate("[...document.images].filter(image => !image.naturalWidth).length") == 0, path


@slow
def test_search_finds_a_page_and_a_name(tab, url):
    for words, page in (("torchrun", "docs/torch_engine.html"), ("map_image", "docs/api/emotiw.lbp_mapping.html")):
        tab.goto(f"{url}/search.html?q={words}")
        tab.wait_for_selector(f"#search-results a[href*='{page}']")


def test_every_page_is_in_the_navigation():
    """Sphinx refuses a page that is in none, but builds in `make test-all` only."""
    navigation = set(re.findall(r'"(?:[^"<]+ <)?/docs/(\w+)>?"', SETTINGS))
    assert navigation == {path.stem for path in ROOT.glob("docs/*.md")} - {"index"}
    assert {path.stem for path in ROOT.glob("docs/api/*.rst")} == set(packages())


def locked(path: str) -> dict[str, set[str]]:
    """Return the releases of each package in a lock."""
    releases: dict[str, set[str]] = {}
    for name, release in re.findall(r"^([\w.-]+)==(\S+)", (ROOT / path).read_text(encoding="utf-8"), re.M):
        releases.setdefault(name, set()).add(release)
    return releases


def test_the_packages_of_the_site_are_locked_and_agree_with_the_others():
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]["docs"]
    names = {re.split(r"[<>=]", requirement)[0] for requirement in wanted}
    assert all("<" in requirement for requirement in wanted)
    ours, others = locked("docs/requirements.lock"), locked("requirements.lock")
    assert names <= ours.keys()
    assert not names & others.keys()  # `make demo` does not fetch them
    assert {name for name in ours.keys() & others.keys() if ours[name] != others[name]} == set()
