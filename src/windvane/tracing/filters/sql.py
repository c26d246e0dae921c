"""SQL conditions whose values travel as parameters."""

from __future__ import annotations

from typing import Any


class Conditions:
    """A conjunction of SQL conditions, and the values that their placeholders stand for."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.params: dict[str, Any] = {}

    def bind(self, value: Any, type_: str = "String") -> str:
        """A placeholder for a value."""
        name = f"p{len(self.params)}"
        self.params[name] = value
        return f"{{{name}:{type_}}}"

    def add(self, condition: str) -> None:
        """One more condition that must hold."""
        self.parts.append(condition)

    def __str__(self) -> str:
        return " AND ".join(self.parts) or "1"
