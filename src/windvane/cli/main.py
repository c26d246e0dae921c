"""The `windvane` command: loads a subcommand's module only when it runs, so help and completion stay quick."""

from __future__ import annotations

import ast
import importlib
import keyword
import pkgutil
import sys
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from windvane import __version__
from windvane.kit.errors import BadInputError, WindvaneError

_NOT_COMMANDS = {
    "client", "diff_report", "kayenta_options", "log_import", "main", "mesh_files", "mesh_options", "output",
    "release_commands",
    "rollout_options", "sarif", "test_report", "trace_analysis", "trace_graphs", "trace_propagation", "traffic",
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
        command = importlib.import_module(f"windvane.cli.{_module_name(cmd_name)}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        names = self.list_commands(ctx)
        limit = formatter.width - 6 - max(map(len, names))
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary(name, limit)) for name in names])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        names = (name for name in self.list_commands(ctx) if name.startswith(incomplete))
        return [CompletionItem(name, help=summary(name)) for name in names] + click.Command.shell_complete(
            self, ctx, incomplete
        )


def summary(command: str, limit: int = 45) -> str:
    """The first sentence of a command's help, cut to `limit` characters; read from its text, which is not run."""
    tree = ast.parse((Path(__file__).parent / f"{_module_name(command)}.py").read_text(encoding="utf-8"))
    [function] = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "command")
    return click.Command(command, help=ast.get_docstring(function)).get_short_help_str(limit)


def _module_name(command: str) -> str:
    name = command.replace("-", "_")
    return f"{name}_" if keyword.iskeyword(name) else name


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
