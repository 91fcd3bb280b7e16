"""Let the site's search find numbers: codes of failures, ports, limits.

Sphinx leaves out words that are digits alone, in the index and in what is asked for, so that nobody who sees
a failure 10250 in a log would find its page. Here such a word is known as `n10250` on both sides.
"""

from __future__ import annotations

from sphinx.application import Sphinx
from sphinx.search.en import SearchEnglish

SHORTEST = 3  # digits; shorter ones are bytes of a hexdump


class WithNumbers(SearchEnglish):
    """English, and numbers."""

    # the expression is that of Sphinx's own splitter (searchtools.js)
    js_splitter_code = r"""
var splitQuery = (query) =>
  query
    .split(/[^\p{Letter}\p{Number}_\p{Emoji_Presentation}]+/gu)
    .filter((word) => word)
    .map((word) => (/^\d{SHORTEST,}$/.test(word) ? "n" + word : word));
""".replace("SHORTEST", str(SHORTEST))

    def split(self, input: str) -> list[str]:
        """Return the words of a text."""
        return [
            f"n{word}" if word.isdigit() and len(word) >= SHORTEST else word for word in super().split(input)
        ]


def setup(app: Sphinx) -> dict[str, object]:
    """Tell Sphinx of it."""
    app.add_search_language(WithNumbers)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
