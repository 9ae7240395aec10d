"""Plain text and HTML parts of a message made safe to look at; message content is hostile."""

import re

from markupsafe import Markup, escape

_LINK = re.compile(r"https?://[^\s<>\"'`]+", re.IGNORECASE)
_HEAD = re.compile(r"<head(?:\s[^>]*)?>", re.IGNORECASE)
_TRAILING = ".,;:!?)]}*"
_NEW_TAB = '<base target="_blank">'


def with_links(text: str) -> Markup:
    """The text escaped, its http and https addresses as links that open in a new tab."""
    pieces: list[Markup] = []
    end = 0
    for found in _LINK.finditer(text):
        address = found[0].rstrip(_TRAILING)
        pieces += [escape(text[end : found.start()]), _anchor(address)]
        end = found.start() + len(address)
    return Markup("").join([*pieces, escape(text[end:])])


def _anchor(address: str) -> Markup:
    return Markup('<a href="{0}" target="_blank" rel="noopener noreferrer nofollow">{0}</a>').format(address)


def framed(html: str) -> str:
    """The HTML part with links sent to a new tab; the caller escapes it into an iframe's srcdoc."""
    head = _HEAD.search(html)
    if head is None:
        return f"<!doctype html>{_NEW_TAB}{html}"
    return html[: head.end()] + _NEW_TAB + html[head.end() :]
