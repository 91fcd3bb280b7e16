"""Put the drawings of `docs/drawings` into the pages themselves.

A Markdown page shows a drawing as it shows any picture, so that it is seen wherever the page is read. As a
picture it would have one colour for light and dark pages, and its text could be neither found nor selected.
So on the site the drawing stands in the page, with the colours of the theme: what is drawn in `currentColor`
is as dark or light as the text, and `var(--color-brand-primary)` is the colour of links. The style sheet
inside of a drawing is for readers outside of the site, and left out.
"""

from __future__ import annotations

import html
import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

_OUTSIDE = re.compile(r"<style>.*?</style>|<\?xml[^>]*\?>", re.DOTALL)
_FOLDER = "drawings/"


class Drawings(SphinxPostTransform):
    """Replace pictures of drawings by the drawings."""

    default_priority = 5  # before Sphinx copies pictures
    formats = ("html",)

    def run(self, **_: object) -> None:
        """Replace them on one page."""
        for picture in list(self.document.findall(nodes.image)):
            uri = str(picture["uri"])
            if not uri.startswith(_FOLDER) or not uri.endswith(".svg"):
                continue
            drawing = _OUTSIDE.sub("", Path(self.env.srcdir, uri).read_text())
            label = html.escape(str(picture.get("alt") or ""), quote=True)
            drawing = drawing.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
            picture.replace_self(nodes.raw("", f'<div class="drawing">{drawing}</div>', format="html"))


def setup(app: Sphinx) -> dict[str, object]:
    """Tell Sphinx of it."""
    app.add_post_transform(Drawings)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
