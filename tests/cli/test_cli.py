"""The command line as a user meets it: help, errors in one line, exit codes."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from windvane.cli.main import LazyGroup, summary


def windvane(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "windvane", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=cwd)


def test_help_lists_every_command() -> None:
    result = windvane("--help")
    assert result.returncode == 0
    for command in ("serve", "demo", "up", "analyze", "query", "completion"):
        assert f"\n  {command} " in result.stdout


def test_help_and_completion_say_of_each_command_what_it_says_itself() -> None:
    group = LazyGroup("windvane")
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        assert summary(name) == command.get_short_help_str()
    assert [one.value for one in group.shell_complete(context, "an")] == ["analyze", "anomalies"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["serve", "--http", "9900"], "not an address: '9900'"),
        (["serve", "--retention", "5"], "not a duration: '5'"),
        (["serve", "--ads", "127.0.0.1:0"], "--ads needs --mesh"),
    ],
)
def test_usage_errors_are_one_line_and_exit_2(arguments: list[str], message: str) -> None:
    result = windvane(*arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_config_file_sets_defaults_and_unknown_keys_are_named(tmp_path: Path) -> None:
    config = tmp_path / "windvane.yaml"
    config.write_text("retentoin: 5d\n")
    result = windvane("serve", "--config", str(config))
    assert result.returncode == 2
    assert "unknown key 'retentoin'" in result.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_the_command(shell: str) -> None:
    result = windvane("completion", shell)
    assert result.returncode == 0
    assert "_WINDVANE_COMPLETE" in result.stdout
