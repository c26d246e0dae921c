"""Search tokens: what the text index on `otel_traces` holds for every attribute of a span.

Ask with `hasAllTokens(SearchTokens, {tokens:Array(String)})` (or hasAnyTokens). A token tells its
key and the beginning of its value, but not whether the attribute is the span's, its resource's, its
scope's, an event's or a link's; so the exact condition follows, on what the index leaves. Rows of
parts that are not merged yet are found as well, by scanning them.
"""

from __future__ import annotations

import re

_ID = re.compile(r"[0-9a-f-]{16,}\Z")
_ID_KEPT, _TEXT_KEPT = 8, 64


def token(key: str, value: str) -> str:
    """The token of one attribute, as the schema's expression makes it."""
    return f"{key}={value[: _ID_KEPT if is_id(value) else _TEXT_KEPT]}"


def is_id(value: str) -> bool:
    """Whether a value looks like the id of one thing, such as a request."""
    return _ID.match(value) is not None


def is_exact(value: str) -> bool:
    """Whether a token holds the whole of this value."""
    return len(value) <= _TEXT_KEPT and not is_id(value)
