"""What `windvane diff` tells, for people and for programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import click

from windvane.cli.output import print_table
from windvane.local.diff.compare import Difference
from windvane.local.diff.report import Change, Report
from windvane.local.diff.run import Answer
from windvane.local.diff.structure import Structure

_SHOWN, _NAMED, _FIELDS, _ALIKE, _WIDTH = 40, 3, 6, 4, 90


def print_report(found: Report, notes: Sequence[str]) -> None:
    """The headline, kinds of changes, and each changed request with what differs."""
    click.echo(headline(found))
    kinds = found.by_kind()
    if kinds:
        click.echo("")
        rows = [(kind, count, f"{count / found.total:.1%}") for kind, count in kinds.most_common()]
        print_table(("what differs", "requests", "share"), rows)
    groups = _alike(found.changes)
    for group in groups[:_SHOWN]:
        click.echo("")
        for line in _described(found, group):
            click.echo(line)
    if len(groups) > _SHOWN:
        click.echo(f"\n… and {len(groups) - _SHOWN} more changes (--output json has all)")
    if found.structure is not None:
        _print_structure(found.structure)
    for note in (*all_notes(found), *notes):
        click.echo(f"note: {note}", err=True)


def _print_structure(found: Structure) -> None:
    """What differs in the configuration of proxies, the same of several of them once."""
    if not (found.resources or found.added or found.removed):
        click.echo("\nthe proxies' configuration is the same")
        return
    click.echo("\nEnvoy's configuration:")
    for what, keys in (("added", found.added), ("removed", found.removed)):
        if keys:
            click.echo(f"  workloads {what}: {', '.join(keys)}")
    for each in found.resources:
        of = ", ".join(each.workloads[:_NAMED]) + (
            f" and {len(each.workloads) - _NAMED} more" if len(each.workloads) > _NAMED else ""
        )
        click.echo(f"  {each.kind} {each.name} {each.what} of {of}")
        for path, before, after in each.fields[:_FIELDS]:
            click.echo(f"    {path}: {before or 'not set'} → {after or 'not set'}")
        more = each.more + max(0, len(each.fields) - _FIELDS)
        if more:
            click.echo(f"    … and {more} more fields")


def headline(found: Report) -> str:
    """`12.4 % of 8,310 requests change`."""
    distinct = "made from both configurations" if found.structure else f"{found.distinct:,} distinct"
    if not found.changes:
        return f"no request of {found.total:,} ({distinct}) is treated differently"
    return f"{100 * found.share:.1f} % of {_many(found.total)} ({distinct}) are treated differently"


def all_notes(found: Report) -> list[str]:
    """What the comparison does not cover."""
    notes = [f"{count:,} requests are left out: {reason}" for reason, count in found.left_out.most_common()]
    distinct, requests = found.plan.alike
    if distinct:
        notes.append(f"{distinct:,} distinct requests ({requests:,}) meet nothing that differs: they were not sent")
    distinct, requests = found.plan.beyond
    if distinct:
        asked = found.plan.total / (found.plan.total + requests)
        notes.append(f"{distinct:,} rarer ones (--max-distinct) were not sent: what is told covers {asked:.1%} of all")
    if found.plan.unseen:
        names = ", ".join(found.plan.unseen)
        notes.append(f"rules look at headers that are not recorded ({names}): requests were sent without them")
    if any(view.request_authentications for view in found.plan.views):
        notes.append("traffic records no tokens: requests were sent without")
    return notes


def _alike(changes: Sequence[Change]) -> list[list[Change]]:
    """Requests that change in the same way together, the most frequent first."""
    groups: dict[tuple[Difference, ...], list[Change]] = {}
    for each in changes:
        groups.setdefault(tuple(replace(one, seen=()) for one in each.differences), []).append(each)
    return sorted(groups.values(), key=lambda group: -sum(each.request.count for each in group))


def _described(found: Report, group: Sequence[Change]) -> list[str]:
    lines = []
    for each in group[:_ALIKE]:
        request = each.request
        headers = ", ".join(f"{name}: {value}" for name, value in request.headers)
        forms = f" in {request.shapes:,} forms" if request.shapes > 1 else ""
        share = f"{_many(request.count)}{forms}, {request.count / found.total:.1%}"
        lines.append(f"{request.asked}{f' with {headers}' if headers else ''} from {request.client} ({share})")
    if len(group) > _ALIKE:
        rest = sum(each.request.count for each in group[_ALIKE:])
        lines.append(f"… and {len(group) - _ALIKE} more like these ({_many(rest)}, {rest / found.total:.1%})")
    return lines + [f"  {line}" for one in group[0].differences for line in _difference(one)]


def _many(count: int) -> str:
    return "1 request" if count == 1 else f"{count:,} requests"


def _difference(one: Difference) -> list[str]:
    of = f" {one.field}" if one.field else ""
    before, after = (f"{text}{f' (seen {seen})' if seen else ''}" for text, seen in zip(
        (one.before, one.after), one.seen or ("", ""), strict=True))  # fmt: skip
    if len(before) + len(after) < _WIDTH:
        return [f"{one.kind:<12}{of.strip() + ': ' if of else ''}{before} → {after}"]
    return [f"{one.kind}{of}", f"  - {before}", f"  + {after}"]


def as_document(found: Report, notes: Sequence[str]) -> dict[str, Any]:
    """For programs."""
    return {
        "requests": found.total,
        "distinct": found.distinct,
        "changed": found.changed,
        "share": found.share,
        "by_kind": dict(found.by_kind().most_common()),
        "changes": [_change(each) for each in found.changes],
        "left_out": dict(found.left_out),
        "structure": _structure(found.structure) if found.structure else None,
        "notes": [*all_notes(found), *notes],
    }


def _structure(found: Structure) -> dict[str, Any]:
    names = ("field", "old", "new")
    resources = [
        {**dataclasses.asdict(each), "fields": [dict(zip(names, one, strict=True)) for one in each.fields]}
        for each in found.resources
    ]
    return {"workloads_added": found.added, "workloads_removed": found.removed, "resources": resources}


def _change(each: Change) -> dict[str, Any]:
    asked = each.request.asked
    return {
        "request": str(asked), "headers": dict(each.request.headers), "from": each.request.client,
        "requests": each.request.count, "forms": each.request.shapes, "examples": list(each.request.examples),
        "kinds": list(each.kinds), "breaks": each.breaks,
        "differences": [dataclasses.asdict(one) for one in each.differences],
        "old": _answer(each.old), "new": _answer(each.new),
    }  # fmt: skip


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "refused": answer.refused,
        "destinations": dict(answer.configured.destinations),
        "outcomes": [dataclasses.asdict(way) for way in answer.ways],
    }
