"""What can be wrong with a template; messages are worded as Go's text/template words them."""

from __future__ import annotations

from windvane.kit.errors import BadInputError


class TemplateError(BadInputError):
    """A template that does not parse, or whose expansion failed."""


class CallError(Exception):
    """A function of a template refused its arguments; the executor adds which call it was."""


class WrongTypeError(CallError):
    """An argument of another type than the function takes."""

    def __init__(self, value: object, expected: str, got: str) -> None:
        super().__init__(f"wrong type for value; expected {expected}; got {got}")
        self.value = value
        self.expected = expected
