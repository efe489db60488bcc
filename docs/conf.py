"""The documentation site: ``make docs`` builds it, without a network."""

from importlib.metadata import version as version_of

project = "bayes_hybrid"
author = copyright = "The bayes_hybrid developers"
release = version = version_of("bayes-hybrid")
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "bayes_hybrid"
autodoc_typehints = "none"  # signatures would be longer than what they say
autodoc_member_order = "bysource"
napoleon_use_ivar = True
html_static_path = ["_static"]
html_js_files = ["accessible.js"]
html_copy_source = False
