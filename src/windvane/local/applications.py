"""What stands behind the sidecars: emulated applications (one process for all) and real commands."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from windvane.kit.errors import BadInputError
from windvane.local import probes
from windvane.local.emulator.plan import EmulatedWorkload, EmulatorPlan
from windvane.local.emulator.spec import EmulateSpec, Step, parse_emulate
from windvane.local.supervisor import ChildSpec
from windvane.mesh.inbound import application_ports
from windvane.mesh.placement import Placement, WorkloadPlace
from windvane.mesh.view import MeshService, MeshView, MeshWorkload

EMULATE = "windvane.dev/emulate"
RUN = "windvane.dev/run"


@dataclass(frozen=True, slots=True)
class Applications:
    """What to run for a view. `problems` says of each workload left out why."""

    plan: EmulatorPlan
    commands: Mapping[str, ChildSpec] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def applications(view: MeshView, placement: Placement, before: EmulatorPlan | None = None) -> Applications:
    """The applications of a view. A workload with a wrong annotation keeps how it was emulated `before`."""
    emulated: dict[str, EmulatedWorkload] = {}
    commands: dict[str, ChildSpec] = {}
    problems: list[str] = []
    for key, place in placement.places.items():
        workload = view.workloads[key]
        if EMULATE not in workload.annotations and RUN not in workload.annotations:
            if place.app and workload.kind != "WorkloadEntry":
                # Its image cannot run here: something that answers stands in for it.
                emulated[key] = _emulated(view, workload, place, "{}")
            elif place.app:
                problems.append(f"{_at(workload)}: has neither {RUN} nor {EMULATE}: nothing answers behind its sidecar")
        elif EMULATE in workload.annotations and RUN in workload.annotations:
            problems.append(f"{_at(workload)}: has both {RUN} and {EMULATE}; neither is used")
        elif RUN in workload.annotations:
            commands[key] = command(view, workload, place)
        else:
            former = before.workloads.get(key) if before else None
            text, found = _checked(view, workload, former)
            problems.extend(found)
            if text is not None:
                emulated[key] = _emulated(view, workload, place, text)
    return Applications(EmulatorPlan(emulated), commands, tuple(problems))


def _checked(view: MeshView, workload: MeshWorkload, former: EmulatedWorkload | None) -> tuple[str | None, list[str]]:
    """The annotation to use (the former one when it is wrong now), and what was wrong."""
    text = workload.annotations[EMULATE]
    try:
        spec = parse_emulate(text, _at(workload))
    except BadInputError as error:
        return (former.emulate if former else None), [error.message]
    unknown = sorted({call for call in _calls(spec) if not _known(view, workload.namespace, call)})
    return text, [f"{_at(workload)}: {EMULATE} calls {host}:{port}, which no service offers" for host, port in unknown]


def _calls(spec: EmulateSpec) -> list[tuple[str, int]]:
    """Every host and port that an application may call."""
    waiting: list[Step] = [*spec.calls]
    for endpoint in spec.endpoints:
        waiting += endpoint.calls or ()
    for job in spec.background:
        waiting += job.calls
    found = []
    while waiting:
        step = waiting.pop()
        waiting += [*(step.parallel or ()), *(step.sequence or ())]
        if step.to is not None:
            found.append((step.target.host, step.target.port))
    return found


def _known(view: MeshView, namespace: str, call: tuple[str, int]) -> bool:
    host, number = call
    for full in (host, f"{host}.svc.cluster.local", f"{host}.{namespace}.svc.cluster.local"):
        if full in view.services:
            return any(port.number == number for port in view.services[full].ports)
    return False


def _emulated(view: MeshView, workload: MeshWorkload, place: WorkloadPlace, text: str) -> EmulatedWorkload:
    protocols = application_ports(view, workload)
    return EmulatedWorkload(
        name=workload.name,
        namespace=workload.namespace,
        address=place.address,
        http_proxy=place.http_proxy,
        ports={listen: protocols[port] for port, listen in place.app.items()},
        outbound=dict(place.outbound),
        emulate=text,
        relays={relay: place.inbound[port] for port, relay in place.relays.items()},
    )


def emulator(plan_file: Path, plan: EmulatorPlan) -> ChildSpec:
    """The process that runs all emulated applications; ready when every port of the first plan accepts."""
    ports = [(workload.address, port) for workload in plan.workloads.values() for port in workload.ports]
    return ChildSpec(
        name="emulator",
        argv=(sys.executable, "-m", "windvane.local.emulator", str(plan_file)),
        ready=partial(probes.accepts, ports),
    )


def command(view: MeshView, workload: MeshWorkload, place: WorkloadPlace) -> ChildSpec:
    """A workload's own command, run by the shell in the folder of the file that declares it."""
    folder = Path(workload.file).resolve().parent if workload.file else Path.cwd()
    return ChildSpec(
        name=f"app-{workload.key}",
        argv=("/bin/sh", "-c", workload.annotations[RUN]),
        env=environment(view, workload, place),
        cwd=folder,
        ready=partial(probes.accepts, [(place.address, port) for port in place.app.values()]),
        version=f"{workload.annotations[RUN]} {folder} {place.address} {dict(place.app)}",
    )


def environment(view: MeshView, workload: MeshWorkload, place: WorkloadPlace) -> dict[str, str]:
    """What a command is told: where to listen (HOST, PORT), its sidecar as HTTP proxy, and addresses of services.

    `<NAME>_SERVICE_HOST` and `_PORT` as in Kubernetes, pointing to the sidecar's listener for the
    service: plain for services of the workload's namespace, `<NAME>_<NAMESPACE>_…` for all.
    """
    proxy = f"http://{place.address}:{place.http_proxy}"
    variables = {
        "HTTP_PROXY": proxy,
        "http_proxy": proxy,
        "NO_PROXY": f"localhost,127.0.0.1,{place.address}",
        "no_proxy": f"localhost,127.0.0.1,{place.address}",
        "HOST": place.address,
        "PYTHONUNBUFFERED": "1",
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath))),
    }
    for index, (port, listen) in enumerate(place.app.items()):
        variables[f"PORT_{port}"] = str(listen)
        if index == 0:
            variables["PORT"] = str(listen)
    for service in view.services.values():
        names = [_variable(f"{service.name}_{service.namespace}")]
        names += [_variable(service.name)] if service.namespace == workload.namespace else []
        for name in names:
            variables |= _service_variables(name, service, place)
    return variables


def _service_variables(name: str, service: MeshService, place: WorkloadPlace) -> dict[str, str]:
    listeners = {port: place.outbound.get(f"{service.hostname}:{port.number}") for port in service.ports}
    variables: dict[str, str] = {}
    for port, listen in listeners.items():
        if listen is not None:
            variables.setdefault(f"{name}_SERVICE_HOST", place.address)
            variables.setdefault(f"{name}_SERVICE_PORT", str(listen))
            variables[f"{name}_SERVICE_PORT_{_variable(port.name or str(port.number))}"] = str(listen)
    return variables


def _variable(name: str) -> str:
    return "".join(c if c.isalnum() else "_" for c in name).upper()


def _at(workload: MeshWorkload) -> str:
    return f"{workload.file}:{workload.line}: {workload.key}" if workload.file else workload.key
