"""`LocalMesh`: a mesh of real sidecars on this machine, from Istio YAML, until it is told to stop.

The supervisor's process decides where everything runs, starts the server, the emulator, one Envoy
a workload and the traffic, follows edits of the YAML (the control plane follows them by itself),
and stops all in the order that loses nothing: traffic, then sidecars once their logs have arrived,
applications, and the server last.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import orjson

from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError, WindvaneError
from windvane.kit.values import Address
from windvane.local import probes
from windvane.local.addresses import Claim, claim
from windvane.local.applications import Applications, applications, emulator
from windvane.local.canary import Trial, released
from windvane.local.drain import drained
from windvane.local.emulator.plan import EmulatorPlan
from windvane.local.faults import Fault, check_faults, follow, relayed, troubled
from windvane.local.files import write_whole
from windvane.local.patches import idle_patches
from windvane.local.placement import Allocator, gateway_ports
from windvane.local.profile import TrafficProfile
from windvane.local.scraping import scrape_configuration
from windvane.local.sidecar import sidecar
from windvane.local.supervisor import ChildSpec, Supervisor
from windvane.mesh.checks.wasm import local_modules
from windvane.mesh.files import FileSource, LoadResult
from windvane.mesh.placement import Placement
from windvane.mesh.view import MeshView
from windvane.mesh.watch import watch
from windvane.xds.admission import admission_token
from windvane.xds.snapshot import MeshSettings

Report = Callable[[str, Mapping[str, object]], None]

PLACEMENT = "placement.json"
_START = 60.0


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the generator does: mean requests a second; `duration` and `day` as people write them."""

    rate: float = 50.0
    profile: Path | None = None
    duration: str | None = None
    day: str | None = None
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Faces:
    """Addresses of the server. One that is taken is moved to the next free port, and told."""

    http: Address = Address("127.0.0.1", 9900)
    grpc: Address = Address("127.0.0.1", 4317)
    otlp_http: Address = Address("127.0.0.1", 4318)
    ads: Address = Address("127.0.0.1", 15010)

    def options(self) -> dict[str, Address]:
        """By the names of `windvane serve`'s options."""
        return {"http": self.http, "grpc": self.grpc, "otlp-http": self.otlp_http, "ads": self.ads}

    def claimed(self, held: Claim, report: Report) -> Faces:
        """These addresses, each with a port that is free and that no other mesh will take."""
        ports = []
        for name, wanted in self.options().items():
            used = Address(wanted.host, held.visible_port(wanted.host, wanted.port or 9900))
            if wanted.port and used != wanted:
                report("moved", {"option": name, "wanted": str(wanted), "used": str(used)})
            ports.append(used)
        return Faces(*ports)


@dataclass(frozen=True, slots=True)
class MeshOptions:
    """Everything a local mesh can be told."""

    mesh: tuple[Path, ...]
    run_dir: Path
    faces: Faces = Faces()
    gateway: Address = Address("127.0.0.1", 8080)
    """Where the ingress gateway's first port is wanted; moved like a face when taken."""
    retention: str = "15d"
    traffic: Traffic | None = None
    faults: tuple[Fault, ...] = ()
    allow_edits: bool = False
    """Whether the console may write into the files of `mesh`."""
    releases: bool = True
    """Whether Canaries among the files of `mesh` are carried out."""
    canary: Trial | None = None
    """A release that begins by itself, of a mesh that `local.canary` prepared."""
    watch: bool = True
    """Whether the server looks for incidents."""
    slos: tuple[str, ...] = ()
    """Globs of files of service-level objectives beside those of `mesh`."""
    server: tuple[str, ...] = (
        sys.executable, "-m", "windvane", "serve",
        "--zipkin", "none", "--tempo", "none", "--jaeger-query", "none", "--jaeger-grpc-query", "none",
        "--sampling-http", "none", "--sampling-grpc", "none",
    )  # fmt: skip
    """The command that the server's options are given to."""
    state_dir: Path | None = None
    """Where claims of addresses are kept; None for the user's runtime directory."""


class LocalMesh:
    """One mesh. `report(event, fields)` is told everything worth telling, as it happens."""

    def __init__(self, options: MeshOptions, clock: Clock, report: Report) -> None:
        """BadInputError when the mesh is not valid."""
        if not options.gateway.host.startswith("127."):
            raise BadInputError(f"--gateway {options.gateway}: the gateway of a local mesh listens on 127.x.y.z")
        if options.traffic is not None and options.traffic.profile is not None:
            TrafficProfile.load(options.traffic.profile)
        self.options, self._clock, self._report = options, clock, report
        self.supervisor = Supervisor(options.run_dir / "logs", clock, report)
        self._source = FileSource(options.mesh, implied_gateways=True, also=(idle_patches, local_modules))
        self._view = self._first_view()
        check_faults(options.faults, self._view)
        self._active: tuple[Fault, ...] = ()
        self._claim = claim(options.state_dir, prefer=_prefix(options.run_dir))
        self._allocator = Allocator(self._claim, options.gateway, relayed(options.faults, self._view))
        self._faces, self._placement = options.faces, Placement()
        self._applications = Applications(EmulatorPlan())
        self._processes: dict[str, ChildSpec] = {}
        self._problems: frozenset[str] = frozenset()

    async def run(self, stop: asyncio.Event) -> None:
        """Bring the mesh up, keep it up until `stop` or the end of the traffic's duration, take it down.

        UnavailableError when a part of it does not come up.
        """
        work = asyncio.create_task(self._work(self._clock.monotonic()))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((work, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            work.cancel()
            results = await asyncio.gather(work, return_exceptions=True)
            await self._shut_down()
        if isinstance(results[0], Exception):
            raise results[0]

    async def _work(self, began: float) -> None:
        await self._start()
        self._report("ready", self._urls() | {"seconds": round(self._clock.monotonic() - began, 2)})
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._follow_edits())]
            tasks.append(group.create_task(follow(self.options.faults, self._clock, self._break)))
            gateway = self._gateway()
            if self.options.canary is not None:
                tasks.append(group.create_task(self._release(self.options.canary)))
            if self.options.traffic is not None and gateway is not None:
                traffic = self.supervisor.start(self._traffic(self.options.traffic, gateway))
                tasks.append(group.create_task(self._first_graph(began)))
                await traffic.wait_gone()  # only traffic of a limited duration ever is
                for task in tasks:
                    task.cancel()

    def _first_view(self) -> MeshView:
        result = self._source.load()
        if result.view is None:
            wrong = "\n".join(f"  {item}" for item in result.findings if item.level == "error")
            raise BadInputError(f"the mesh is not valid:\n{wrong}")
        self._tell_findings(result)
        return result.view

    async def _start(self) -> None:
        """Start everything but traffic, all at once; sidecars keep asking until their control plane answers."""
        self._faces = self.options.faces.claimed(self._claim, self._report)
        self._allocator.restore(_former(self.options.run_dir))
        await self.supervisor.open()
        self._plan(self._view)
        gateway = self._gateway()
        if gateway is not None and gateway != self.options.gateway and self.options.gateway.port:
            self._report("moved", {"option": "gateway", "wanted": str(self.options.gateway), "used": str(gateway)})
        self._report(
            "addresses", {"claim": self._claim.name, **{name: str(at) for name, at in self._faces.options().items()}}
        )
        self.supervisor.start(self._server())
        await self._apply()
        await asyncio.gather(*(child.wait_ready(_START) for child in self.supervisor.children.values()))

    def _plan(self, view: MeshView) -> None:
        """Decide where everything of a view runs and write it down for the server and the emulator."""
        self._placement = self._allocator.update(view)
        self._view = view
        self._applications = applications(view, self._placement, self._applications.plan)
        problems = frozenset(self._applications.problems)
        for problem in sorted(problems - self._problems):
            self._report("problem", {"message": problem})
        self._problems = problems
        write_whole(self.options.run_dir / PLACEMENT, self._placement.to_json().encode())
        self._write_emulator()

    def _write_emulator(self) -> None:
        wrong = (*self._active, *(self.options.canary.faults if self.options.canary else ()))
        workloads = troubled(self._applications.plan.workloads, wrong, self._view)
        write_whole(self.options.run_dir / "emulator.json", EmulatorPlan(workloads).to_json())

    def _break(self, active: tuple[Fault, ...]) -> None:
        """Let these faults be on, and no others; tell and write down what began and what ended."""
        before, self._active = self._active, active
        self._write_emulator()
        changes = [("began", fault) for fault in active if fault not in before]
        changes += [("ended", fault) for fault in before if fault not in active]
        for state, fault in changes:
            fields = {"kind": fault.kind, "target": fault.target, "state": state}
            self._report("fault", fields)
            self._note({**fields, "by": fault.by, "share": fault.share})

    async def _release(self, trial: Trial) -> None:
        """Let the demo's release begin, and tell and write down how it goes."""

        def tell(state: str, fields: Mapping[str, object]) -> None:
            self._report("release", {**fields, "state": state})
            if state != "step":
                self._note({**fields, "state": state, "by": trial.by, "share": trial.share})

        await released(trial, self.options.mesh[0], self._faces.http, self._clock, tell)

    def _note(self, fields: Mapping[str, object]) -> None:
        """Write down what is wrong with the mesh on purpose."""
        line = {"time": self._clock.now_ns() / 1e9, **fields}
        with (self.options.run_dir / "faults.jsonl").open("ab") as file:
            file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    async def _apply(self) -> None:
        """Make the running processes those of the plan: stop, restart what changed, start."""
        wanted = {spec.name: spec for spec in self._applications.commands.values()}
        if self._applications.plan.workloads:
            spec = emulator(self.options.run_dir / "emulator.json", self._applications.plan)
            wanted[spec.name] = spec
        token = admission_token(self.options.run_dir / "data")
        settings, view = MeshSettings(ads=self._faces.ads, collector=self._faces.grpc, ads_token=token), self._view
        for key, place in self._placement.places.items():
            spec = sidecar(view, view.workloads[key], place, settings, self.options.run_dir)
            wanted[spec.name] = spec
        former = self._processes
        stale = [name for name in former if name not in wanted or wanted[name].version != former[name].version]
        self._processes = {name: spec for name, spec in former.items() if name not in stale}
        await self.supervisor.stop(*stale)
        for name, spec in wanted.items():
            if name not in self._processes:
                self._processes[name] = spec
                self.supervisor.start(spec)

    async def _follow_edits(self) -> None:
        async for result in watch(self._source, self._clock):
            self._tell_findings(result)
            if not result.accepted or result.view is None:
                self._report("refused", {"message": "the edit is not valid; the configuration before it stays"})
            elif result.view.version != self._view.version:
                await self._follow(result.view)

    async def _follow(self, view: MeshView) -> None:
        try:
            self._plan(view)
            await self._apply()
        except WindvaneError as error:  # no address left, no bootstrap for it: the mesh goes on as it was
            self._report("problem", {"message": error.message})
            return
        self._report("applied", {"version": view.version, "workloads": len(self._placement.places)})

    def _tell_findings(self, result: LoadResult) -> None:
        for item in result.findings:
            if item.level != "info":
                self._report("finding", {"level": item.level, "code": item.code, "message": str(item)})

    async def _first_graph(self, began: float) -> None:
        """Tell when the server's graph has an edge."""
        namespaces = ",".join(sorted({workload.namespace for workload in self._view.workloads.values()}))
        path = f"/api/namespaces/graph?graphType=versionedApp&duration=60s&namespaces={namespaces}"
        while True:
            answer = await probes.get(self._faces.http.host, self._faces.http.port, path, patience=30)
            with contextlib.suppress(orjson.JSONDecodeError, KeyError, TypeError):
                if answer is not None and answer.status == 200 and orjson.loads(answer.body)["elements"]["edges"]:
                    self._report("graph", self._urls() | {"seconds": round(self._clock.monotonic() - began, 2)})
                    return
            await self._clock.sleep(0.5)

    async def _shut_down(self) -> None:
        """Traffic, logs, sidecars, applications, server: each only when what feeds on it is done."""
        supervisor, began = self.supervisor, self._clock.monotonic()
        try:
            await supervisor.stop("traffic")
            self._tell_traffic()
            server = supervisor.children.get("server")
            if server is not None and server.state == "ready":
                complete = await drained(self._placement.places.values(), self._faces.http, self._clock)
                self._report("drained", {"complete": complete})
            names = list(supervisor.children)
            await supervisor.stop(*(name for name in names if name.startswith("envoy-")))
            await supervisor.stop(*(name for name in names if name != "server"))
            await supervisor.stop("server")
        finally:
            await supervisor.close()
            self._claim.close()
            self._report("stopped", {"seconds": round(self._clock.monotonic() - began, 2)})

    def _tell_traffic(self) -> None:
        file = self.options.run_dir / "traffic.json"
        if self.options.traffic is not None and file.exists():
            self._report("traffic", orjson.loads(file.read_bytes()))

    def _server(self) -> ChildSpec:
        options = self.options
        arguments = ["--data", str(options.run_dir / "data"), "--placement", str(options.run_dir / PLACEMENT)]
        for name, address in self._faces.options().items():
            arguments += [f"--{name}", str(address)]
        for path in options.mesh:
            arguments += ["--mesh", str(path)]
        arguments += [part for glob in options.slos for part in ("--slo", glob)]
        arguments += ["--allow-edits"] if options.allow_edits else []
        arguments += [] if options.releases else ["--no-releases"]
        arguments += [] if options.watch else ["--no-watch"]
        arguments += ["--config.file", str(scrape_configuration(options.run_dir, self._faces.http))]
        return ChildSpec(
            name="server",
            argv=(*options.server, *arguments, "--retention", options.retention, "--rules", "istio"),
            ready=partial(probes.answers, self._faces.http.host, self._faces.http.port, "/-/ready"),
            stop_timeout=30.0,
        )

    def _traffic(self, traffic: Traffic, gateway: Address) -> ChildSpec:
        file = self.options.run_dir / "traffic.json"
        given: Sequence[tuple[str, object]] = (
            *(("--target", gateway), ("--stats", file), ("--rate", traffic.rate), ("--profile", traffic.profile)),
            *(("--duration", traffic.duration), ("--day", traffic.day), ("--seed", traffic.seed)),
        )
        arguments = [str(part) for pair in given if pair[1] is not None for part in pair]
        return ChildSpec(
            name="traffic",
            argv=(sys.executable, "-m", "windvane.local.traffic", *arguments),
            restart=traffic.duration is None,
            stop_timeout=30.0,
        )

    def _gateway(self) -> Address | None:
        """Where the first gateway listens; None in a mesh without one."""
        for key, place in self._placement.places.items():
            if place.inbound and gateway_ports(self._view, self._view.workloads[key]):
                return Address(place.address, next(iter(place.inbound.values())))
        return None

    def _urls(self) -> dict[str, object]:
        gateway = self._gateway()
        return {
            "console": f"http://{self._faces.http}/",
            "gateway": f"http://{gateway}/" if gateway else None,
            "mesh": [str(path) for path in self.options.mesh],
            "run_dir": str(self.options.run_dir),
        }


def _former(run_dir: Path) -> Placement:
    """The placement of an earlier run; an unreadable one is as none."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        return Placement.load(run_dir / PLACEMENT)
    return Placement()


def _prefix(run_dir: Path) -> str:
    """The /24 that an earlier run had, or none."""
    prefixes = {place.address.rpartition(".")[0] for place in _former(run_dir).places.values()}
    return min(prefixes - {"127.0.0"}, default="")
