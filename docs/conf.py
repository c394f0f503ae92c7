"""How Sphinx builds the site; `make site` gathers its pages first (compendium/site/build.py)."""

from functools import partial
from html import escape

from docutils.nodes import SkipNode
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util.logging import getLogger

import slamlib

logger = getLogger(__name__)

project = "slamlib"
author = "the slamlib authors"
version = release = slamlib.__version__
copyright = "the slamlib authors, MIT licence"

root_doc = "docs/index"
include_patterns = ["docs/**", "notebooks/**", "data/*.md", "benchmarks/*.md", "CHANGELOG.md"]
exclude_patterns = ["docs/_templates"]
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
]
# A word of a docstring, such as n_pix in a shape, may be the name of several attributes.
suppress_warnings = ["ref.python"]
templates_path = ["_templates"]

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"
# A page that needs no network: no widgets' scripts.
nb_ipywidgets_js = {}

autodoc_member_order = "bysource"
autodoc_typehints = "none"
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
# `name` in a docstring links where such an object is documented, and is code where not.
default_role = "py:obj"

html_theme = "sphinx_book_theme"
html_title = "slamlib"
html_favicon = "_static/icon.svg"
html_context = {"default_mode": "auto"}
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {
    "collapse_navigation": True,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "navbar_persistent": [],
}
html_show_sphinx = False
html_copy_source = False
html_domain_indices = False


def _math(translator, node, block):
    try:
        formula = tex2mathml(node.astext(), as_block=block)
    except MathError as error:
        logger.warning("cannot write %r as MathML: %s", node.astext(), error, location=node)
        formula = f"<code>{escape(node.astext())}</code>"
    translator.body.append(f'<div class="math">{formula}</div>' if block else formula)
    raise SkipNode


def setup(app):
    """Formulae as MathML, which browsers draw themselves: MathJax would come from the network."""
    renderers = ((partial(_math, block=block), None) for block in (False, True))
    app.add_html_math_renderer("mathml", *renderers)


html_math_renderer = "mathml"
