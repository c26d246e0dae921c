"""The `windvane` command: loads a subcommand's module only when it runs, so help stays quick."""

from __future__ import annotations

import importlib
import keyword
import pkgutil
import sys

import click

from windvane import __version__
from windvane.kit.errors import BadInputError, WindvaneError

_NOT_COMMANDS = {
    "client", "log_import", "main", "mesh_files", "mesh_options", "output", "rollout_options", "sarif",
    "trace_analysis", "trace_graphs", "trace_propagation",
}  # fmt: skip


class LazyGroup(click.Group):
    """Commands are the modules of this package; each defines `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        package = importlib.import_module("windvane.cli")
        names = (module.name for module in pkgutil.iter_modules(package.__path__))
        return sorted(_command_name(name) for name in names if name not in _NOT_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        name = cmd_name.replace("-", "_")
        module = importlib.import_module(f"windvane.cli.{name}_" if keyword.iskeyword(name) else f"windvane.cli.{name}")
        command = module.command
        assert isinstance(command, click.Command)
        return command


def _command_name(module: str) -> str:
    """`delete_series` is the command delete-series; `try_` is try, whose module cannot have Python's own word."""
    return module.rstrip("_").replace("_", "-")


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="windvane")
def _windvane() -> None:
    """Monitoring and tracing for an Istio service mesh in one program."""


def main() -> None:
    """Run the command line; errors of ours become one line and an exit code, not a traceback."""
    try:
        _windvane(prog_name="windvane")
    except WindvaneError as error:
        click.echo(f"windvane: {error.message}", err=True)
        sys.exit(2 if isinstance(error, BadInputError) else 1)
