"""Webhooks: asked by POST with Flagger's payload; an answer of 2xx passes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx

from windvane.kit.errors import UnavailableError
from windvane.rollout.machine import Answer, Check, Event, State
from windvane.rollout.model import Hook, HookKind, Plan

Post = Callable[[Hook, Mapping[str, Any]], tuple[int, str]]
"""Sends a payload to a hook's URL; the status and the beginning of the answer. `UnavailableError` without one."""
_MOST_BODY = 2_048
_MOST_SHOWN = 200


def post(hook: Hook, payload: Mapping[str, Any]) -> tuple[int, str]:
    """Over the network, no longer than the hook's timeout. Redirects are answers, not followed."""
    try:
        with (
            httpx.Client(timeout=hook.timeout, verify=not hook.insecure) as client,
            client.stream("POST", hook.url, json=payload) as response,
        ):
            body = b""
            for part in response.iter_bytes():
                body += part
                if len(body) >= _MOST_BODY:
                    break
            return response.status_code, body[:_MOST_BODY].decode(errors="replace").strip()
    except httpx.TimeoutException as error:
        raise UnavailableError(f"no answer from {hook.url} within {hook.timeout:g} s") from error
    except httpx.HTTPError as error:
        raise UnavailableError(f"no answer from {hook.url}: {error or type(error).__name__}") from error


class Asking:
    """The hooks of a plan at one look; those of a kind are asked once."""

    def __init__(self, plan: Plan, state: State, send: Post) -> None:
        self._plan, self._state, self._send = plan, state, send
        self._known: dict[HookKind, Answer] = {}

    def __call__(self, kind: HookKind) -> Answer:
        """Whether all pass; the first that does not ends the asking. Of rollback hooks one is enough."""
        if kind not in self._known:
            self._known[kind] = self._asked(kind)
        return self._known[kind]

    def _asked(self, kind: HookKind) -> Answer:
        checks = list(self.checks(kind))
        if kind == "rollback":
            return Answer(any(one.passed for one in checks))
        refused = next((one for one in checks if not one.passed), None)
        return Answer(True) if refused is None else Answer(False, f"{refused.name}: {refused.text}")

    def checks(self, kind: HookKind) -> Iterator[Check]:
        """One by one, to the first that fails (of rollback hooks: that passes)."""
        for hook in self._plan.hooks_of(kind):
            passed, text = called(hook, payload(self._plan, self._state, hook), self._send)
            yield Check(hook.name, passed, text)
            if passed == (kind == "rollback"):
                return


def called(hook: Hook, content: Mapping[str, Any], send: Post) -> tuple[bool, str]:
    """Whether a hook passed, and what it said; a gate without a URL never does by itself."""
    if not hook.url:
        return False, "needs approval"
    text = ""
    for _ in range(hook.retries + 1):
        try:
            status, body = send(hook, content)
        except UnavailableError as error:
            text = error.message
            continue
        if 200 <= status < 300:
            return True, "passed"
        said = f": {' '.join(body.split())[:_MOST_SHOWN]}" if body else ""
        text = f"{hook.url} answered {status}{said}"
    return False, text


def payload(plan: Plan, state: State, hook: Hook) -> dict[str, Any]:
    """What a hook is sent, in Flagger's words."""
    return {
        "name": plan.name,
        "namespace": plan.namespace,
        "phase": state.phase,
        "checksum": hashlib.sha256(f"{plan.id} {plan.baseline} {plan.canary}".encode()).hexdigest()[:20],
        "type": hook.kind,
        "failedChecks": state.failed,
        "canaryWeight": state.weight,
        "iterations": state.iteration,
        "remainingRetries": max(0, plan.threshold - state.failed),
        "metadata": dict(hook.metadata),
    }


def announced(plan: Plan, state: State, event: Event, send: Post) -> Iterator[str]:
    """Tell event hooks; what went wrong. A hook that does not take an event holds nothing up."""
    for hook in plan.hooks_of("event"):
        content = payload(plan, state, hook) | {
            "phase": event.phase,
            "metadata": {
                **hook.metadata,
                "eventMessage": event.text,
                "eventType": "Warning" if event.warning else "Normal",
                "timestamp": str(round(event.at * 1_000)),
            },
        }
        passed, text = called(hook, content, send)
        if not passed:
            yield f"webhook {hook.name} did not take an event: {text}"
