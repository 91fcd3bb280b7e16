"""How Sphinx makes the site of these pages: `make docs`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from dqlitewire import __version__

project = "dqlite-wire"
author = "the dqlite-wire contributors"
copyright = author
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "drawn",  # beside this file, as are the next two
    "api",
    "search_numbers",
]
exclude_patterns = ["schema"]
source_suffix = {".md": "markdown"}

# a link that leads nowhere is a warning, and `make docs` takes warnings for errors
nitpicky = True
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist", "fieldlist", "attrs_inline"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_maximum_signature_line_length = 84
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"{project} {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True
copybutton_line_continuation_character = "\\"
