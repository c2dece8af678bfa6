"""Writes docs/reference/cli.md from the command line itself, so that it cannot say anything else.

python docs/make_cli_reference.py        # tests/cli/test_reference.py compares the file with it
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer.main

from livestyle.cli.main import app

TARGET = Path(__file__).parent / "reference" / "cli.md"
HEAD = """# Reference of the command line

Written by `python docs/make_cli_reference.py`. `livestyle VERB --help` says the same.

Exit codes:

* 0: all was done. `livestyle webcam` also ends with it on Ctrl-C, SIGTERM and SIGHUP, as on its key q.
* 1: something that a person can put right, said in one sentence on stderr: also where one file of several failed, and
  where a text that was asked for (`--json`, a list, `--help`) could not be printed. `livestyle doctor`: something that
  every program here needs is broken.
* 2: the command line is wrong: there is no such verb or option, an argument or `-o` is missing, or a value is of the
  wrong kind.
* 130: interrupted (Ctrl-C, SIGTERM, SIGHUP). Nothing half-finished stays but what `--resume` goes on with.

Environment:

* `LIVESTYLE_CACHE` and `LIVESTYLE_PRESETS`: other folders for the cache of styles and for your own presets;
  `LIVESTYLE_SETTINGS`: another file for the settings that the key w saves.
* `LIVESTYLE_SERVE_TOKEN`: the token of `--serve`, where other users of the machine cannot read it.
* `LIVESTYLE_DEBUG=1`: shows where an unexpected error came from.

`livestyle --install-completion` lets Tab complete verbs, options, styles, models and devices in the shell that runs it:
bash, zsh, fish or PowerShell.
"""


def commands(group: Any, name: str = "livestyle") -> list[tuple[str, Any]]:
    """All verbs with their full names, in the order of the help."""
    found = []
    for word, command in group.commands.items():
        full = f"{name} {word}"
        found += commands(command, full) if hasattr(command, "commands") else [(full, command)]
    return found


def usage(name: str, command: Any) -> str:
    return " ".join([name, "[OPTIONS]", *(_shown(argument) for argument in _of(command, "argument"))])


def _shown(argument: Any) -> str:
    name = str(argument.metavar or argument.name.upper()) + ("" if argument.nargs == 1 else "...")
    return name if argument.required else f"[{name}]"


def _of(command: Any, kind: str) -> list[Any]:
    return [p for p in command.params if p.param_type_name == kind and not getattr(p, "hidden", False)]


def option_names(option: Any) -> str:
    kind = "" if option.is_flag else " " + (option.metavar or option.display_type(None))
    names = [f"`{name}{kind}`" for name in option.opts]
    return ", ".join(names) + "".join(f" / `{name}`" for name in option.secondary_opts)


def default_of(option: Any) -> str:
    value = option.default
    if option.required:
        return "needed"
    if value is None or value is False or callable(value) or not isinstance(value, str | int | float | Path):
        return ""
    return "on" if value is True else str(value)


def section(name: str, command: Any) -> str:
    lines = [f"## {name}", "", (command.help or "").strip(), "", "```", usage(name, command), "```", ""]
    for argument in _of(command, "argument"):
        lines += [f"* `{_shown(argument)}`: {argument.help}"] if getattr(argument, "help", None) else []
    if _of(command, "argument"):
        lines.append("")
    options = _of(command, "option")
    lines += ["| option | does | default |", "|---|---|---|"] if options else []
    for option in options:
        cells = option_names(option), " ".join((option.help or "").split()), default_of(option)
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |".replace("  |", " |"))
    return "\n".join(lines).rstrip()


def reference() -> str:
    """All of the page."""
    root: Any = typer.main.get_command(app)
    return "\n\n".join([HEAD.strip(), *(section(name, command) for name, command in commands(root))]) + "\n"


if __name__ == "__main__":
    TARGET.write_text(reference(), "utf-8")
    print(f"{TARGET} written", file=sys.stderr)
