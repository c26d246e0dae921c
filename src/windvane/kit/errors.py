"""Errors, named by whose doing they are; `windvane.api.errors` maps each kind to the wire once."""

from __future__ import annotations


class WindvaneError(Exception):
    """Base of every error that Windvane raises on purpose.

    `message` is written for the person who has to act on it: what was wrong, and where.
    """

    kind = "internal"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadInputError(WindvaneError):
    """The caller sent something malformed; sending it again unchanged cannot succeed."""

    kind = "bad_input"


class NotFoundError(WindvaneError):
    """The named thing does not exist (or is no longer kept)."""

    kind = "not_found"


class ConflictError(WindvaneError):
    """The request is well-formed but clashes with the present state (a data directory in use)."""

    kind = "conflict"


class LimitError(WindvaneError):
    """A documented limit was reached (samples, series, bytes, time)."""

    kind = "limit"


class OverloadedError(WindvaneError):
    """Full for the moment; the same request may succeed after `retry_after` seconds."""

    kind = "overloaded"

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnavailableError(WindvaneError):
    """A part the request needs (the store, a proxy) does not answer at present."""

    kind = "unavailable"


class InternalError(WindvaneError):
    """A defect of Windvane: this should never happen."""

    kind = "internal"
