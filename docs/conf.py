"""Settings of the documentation site: ``sphinx-build -W -b html docs FOLDER``, which needs no network."""

import os
import sys
from functools import partialmethod
from pathlib import Path

from nbclient import NotebookClient
from sphinx.application import Sphinx

import hcat_core

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "extensions"))
# Tutorials call hcat by its name; the environment of this Python need not be activated.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
os.environ["COLUMNS"] = "100"
os.environ["TTY_COMPATIBLE"] = "0"  # a kernel asks for colours and bars, which a page cannot show

project = "hcat"
author = "the hcat developers"
copyright = "the hcat developers, Apache-2.0"
version = release = hcat_core.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
    "component_reference",
]
root_doc = "index"
exclude_patterns = ["extensions", "_build"]

# What a command prints arrives in pieces that may end within a line: they are one text again.
NotebookClient.__init__ = partialmethod(NotebookClient.__init__, coalesce_streams=True)

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4

nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 600  # seconds a cell

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_maximum_signature_line_length = 88
napoleon_use_ivar = True
toc_object_entries_show_parents = "hide"
python_use_unqualified_type_names = True
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "pydata_sphinx_theme"
html_title = "hcat"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {
    "logo": {"text": "hcat"},
    "navbar_align": "left",
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
}
html_show_sourcelink = False
html_copy_source = False


def without_constructor_of_a_protocol(
    app: Sphinx, what: str, name: str, class_: object, *rest: object
) -> tuple[str, None] | None:
    """No signature of a Protocol, which has only that of Python's own placeholder."""
    return ("", None) if what == "class" and getattr(class_, "_is_protocol", False) else None


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-signature", without_constructor_of_a_protocol)
