"""What can be wrong with a template; messages are worded as Go's text/template words them."""

from __future__ import annotations

from windvane.kit.errors import BadInputError


class TemplateError(BadInputError):
    """A template that does not parse, or whose expansion failed."""


class CallError(Exception):
    """A function of a template refused its arguments; the executor adds which call it was."""
