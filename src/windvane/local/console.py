"""How a local mesh's events are told: lines for people, or one JSON document a line for programs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping

import orjson
from rich.console import Console
from rich.markup import escape

from windvane.kit.clock import Clock

Fields = Mapping[str, object]


class JsonReporter:
    """One line a event: `event`, `time` (Unix seconds) and the event's own fields."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, event: str, fields: Fields) -> None:
        line = {"event": event, "time": self._clock.now_ns() / 1e9, **fields}
        with contextlib.suppress(BrokenPipeError):  # the reader has gone; the mesh goes on
            sys.stdout.buffer.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
            sys.stdout.buffer.flush()


class TextReporter:
    """Progress for people; what only programs care about is left out."""

    def __init__(self, clock: Clock, console: Console | None = None) -> None:
        self._clock, self._began = clock, clock.monotonic()
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._sidecars = 0
        self._up = False

    def __call__(self, event: str, fields: Fields) -> None:
        tell = _TEXTS.get(event)
        if event == "ready" and "process" in fields:
            self._process_ready(str(fields["process"]))
        elif event == "ready":
            self._all_ready(fields)
        elif tell is not None:
            style, text = tell(fields)
            self._line(text, style)

    def _process_ready(self, name: str) -> None:
        if name.startswith("envoy-") and not self._up:
            self._sidecars += 1
        else:
            self._line(f"{name} is ready")

    def _all_ready(self, fields: Fields) -> None:
        self._up = True
        self._line(f"{self._sidecars} sidecars are ready")
        rows = [("console", fields["console"]), ("gateway", fields["gateway"])]
        rows += [("edit and watch", path) for path in _list(fields["mesh"])]
        rows += [("logs", f"{fields['run_dir']}/logs")]
        for name, value in rows:
            if value:
                self._console.print(f"  [bold]{name:>14}[/]  [cyan]{escape(str(value))}[/]")

    def _line(self, text: str, style: str = "") -> None:
        seconds = self._clock.monotonic() - self._began
        message = f"[{style}]{escape(text)}[/]" if style else escape(text)
        self._console.print(f"[dim]{seconds:6.1f} s[/]  {message}")


def _list(value: object) -> list[object]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _traffic(fields: Fields) -> tuple[str, str]:
    outcomes = fields.get("outcomes")
    parts = ", ".join(f"{count} × {name}" for name, count in outcomes.items()) if isinstance(outcomes, dict) else ""
    unsent = f"; not sent: {fields['dropped']} dropped, {fields['not_connected']} without connection"
    return "", f"traffic: {fields['sent']} requests sent ({parts}){unsent}"


def _exited(fields: Fields) -> tuple[str, str]:
    reason = f": {fields['last']}" if fields["last"] else ""
    again = f"; again in {fields['restart_in']} s"
    return "yellow", f"{fields['process']} ended (code {fields['code']}{reason}){again}"


def _release(fields: Fields) -> tuple[str, str]:
    where = f"release of {fields['target']}"
    if fields["state"] == "step":
        style = {"Succeeded": "green", "Failed": "red"}.get(str(fields["phase"]), "")
        return style, f"{where}: {fields['phase']}, {fields['weight']} %: {fields['text']}"
    return "magenta", f"{fields['kind']} {fields['state']}: {fields['target']}"


_TEXTS: dict[str, Callable[[Fields], tuple[str, str]]] = {
    "moved": lambda f: ("yellow", f"{f['wanted']} is taken: --{f['option']} is {f['used']}"),
    "addresses": lambda f: ("", f"the mesh lives on {f['claim']}"),
    "finding": lambda f: ("red" if f["level"] == "error" else "yellow", str(f["message"])),
    "problem": lambda f: ("red", str(f["message"])),
    "refused": lambda f: ("red", str(f["message"])),
    "applied": lambda f: ("green", f"edit applied: {f['workloads']} workloads"),
    "exited": _exited,
    "fault": lambda f: (
        "magenta" if f["state"] == "began" else "",
        f"fault {f['state']}: {f['kind']} at {f['target']}",
    ),
    "release": _release,
    "killed": lambda f: ("yellow", f"{f['process']} did not end within {f['after']} s and was killed"),
    "graph": lambda f: ("green", f"the graph has traffic: {f['console']}"),
    "stopping": lambda _: ("", "stopping: traffic first, the server last (Ctrl-C again to cut it short)"),
    "traffic": _traffic,
    "drained": lambda f: (
        ("", "all access logs have arrived") if f["complete"] else ("yellow", "access logs were cut off")
    ),
    "stopped": lambda f: ("", f"stopped in {f['seconds']} s"),
}
