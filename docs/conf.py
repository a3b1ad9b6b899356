"""Configuration of the documentation site, which `make docs` builds."""

import pathlib
import re
import tomllib

import keras_gan

ROOT = pathlib.Path(__file__).parents[1]
URLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]

project = "keras_gan"
author = "The keras_gan developers"
version = release = keras_gan.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"]
exclude_patterns = ["pictures", "first_gan.ipynb"]
templates_path = ["templates"]

html_theme = "furo"
html_title = f"keras_gan {release}"
html_theme_options = {
    "source_repository": URLS["Source"],
    "source_branch": "main",
    "source_directory": "docs/",
}

myst_heading_anchors = 3
myst_links_external_new_tab = True

autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False


def link_to_the_repository(app, name, source):
    """Let links to files outside of `docs/` lead to the repository."""
    source[0] = re.sub(r"\]\(\.\./([^)]+)\)", rf"]({URLS['Source']}/blob/main/\1)", source[0])


def markdown_to_restructured_text(app, what, name, value, options, lines):
    """Translate the code spans and tables of a docstring, which Sphinx does not read as Markdown."""
    translated = []
    for line in lines:
        # A literal must not touch a letter, as the `s` in a plural does.
        line = re.sub(
            r"(?<!`)`([^`]+)`(?!`)(?=(\w)?)", lambda m: f"``{m[1]}``" + "\\ " * bool(m[2]), line
        )
        cells = re.findall(r"\|\s+(.*?)\s+(?=\|)", line.strip()) if line.lstrip().startswith("|") else []
        if not cells:
            translated += [] if re.fullmatch(r"\s*[|:-]+\s*", line) and "|" in line else [line]
            continue
        indent = line[: line.index("|")]
        if not translated or not translated[-1].startswith(f"{indent}   "):
            translated += [f"{indent}.. list-table::", f"{indent}   :header-rows: 1", ""]
        translated += [f"{indent}   {'* ' if i == 0 else '  '}- {cell}" for i, cell in enumerate(cells)]
    lines[:] = translated


def setup(app):
    """Register the hooks above."""
    app.connect("source-read", link_to_the_repository)
    # Before Napoleon, whose priority is 500.
    app.connect("autodoc-process-docstring", markdown_to_restructured_text, priority=400)
