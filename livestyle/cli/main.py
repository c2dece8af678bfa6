"""The command line: each verb parses its options and makes one call to the wings below."""

from __future__ import annotations

import logging
import os
import sys
import threading
import warnings
from collections.abc import Sequence
from typing import Annotated, Any, NoReturn

import typer

from livestyle import __version__
from livestyle.errors import LivestyleError
from livestyle.memory import is_memory_error
from livestyle.text import escaped
from livestyle.verb import Group, Verb

from .bench import bench
from .demo import demo
from .doctor import doctor
from .image import image
from .process import finish_streams, ignore_signals, prepare_streams, raise_on_signals
from .styles import styles_app
from .video import video
from .web import web
from .webcam import cameras, webcam

GREETING = """livestyle turns a webcam, a video or a picture into a painting, live, in the style of any picture.

  livestyle webcam                              your camera in a window; h there shows the keys
  livestyle video in.mp4 -o out.mp4             a film, with its sound
  livestyle image photo.jpg -o painted.png      a picture

  livestyle demo        paints the clip that comes along      livestyle doctor    what this machine can do
  livestyle --help      all there is                          livestyle webcam --camera demo    no camera at hand"""

app = typer.Typer(
    cls=Group,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(styles_app, name="styles")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"livestyle {__version__}")
        raise typer.Exit


@app.callback()
def livestyle(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Turn a webcam, a video or a picture into a painting, live, in any style that you have a picture of."""
    if context.invoked_subcommand is None:
        print(GREETING)


for verb in (webcam, cameras, video, image, demo, bench, web, doctor):
    app.command(cls=Verb)(verb)


def _options_for(settings: Sequence[str], arguments: Sequence[str]) -> str:
    """Options of these names that the verb in a command line has, as " (--a, --b)"; of a switch that is on its "no"."""
    command: Any = typer.main.get_command(app)
    for word in arguments:
        command = getattr(command, "commands", {}).get(word, command)
    options = {option.name: option for option in command.params if option.param_type_name == "option"}
    found = [options[name] for name in settings if name in options]
    names = [(o.secondary_opts if o.default is True and o.secondary_opts else o.opts)[0] for o in found]
    return f" ({', '.join(names)})" if names else ""


class _WithOptions(logging.Formatter):
    """Formatter of warnings; those that carry ``settings`` get the options of these names."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        text = escaped(super().formatMessage(record))
        return text + _options_for(getattr(record, "settings", ()), sys.argv[1:])


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code of a command line; what a person can put right prints one sentence and gives 1.

    Args:
        arguments: without the program's name; None is those of this process.
    """
    try:
        app(arguments, prog_name="livestyle")
    except LivestyleError as error:
        options = _options_for(error.settings, sys.argv[1:] if arguments is None else arguments)
        print(f"error: {escaped(error)}{options}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if not is_memory_error(error):
            raise
        text = "there is not enough memory for this: take smaller pictures or a smaller size, or fewer jobs at a time"
        print(f"error: {text}", file=sys.stderr)
        return 1
    except SystemExit as end:
        # Typer ends by it, always with a number.
        return end.code if isinstance(end.code, int) else 0
    return 0


def run_program() -> NoReturn:
    """Entry point of the program ``livestyle``: `main` in a process that is its own."""
    prepare_streams()
    logging.addLevelName(logging.WARNING, "warning")
    handler = logging.StreamHandler()
    handler.setFormatter(_WithOptions("%(levelname)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    if os.environ.get("LIVESTYLE_DEBUG"):
        # Tracebacks of unforeseen errors.
        logging.getLogger("livestyle").setLevel(logging.DEBUG)
    else:
        # Of damaged images, Pillow warns beside our own error.
        warnings.filterwarnings("ignore", module="PIL")
    raise_on_signals()
    code = main()
    ignore_signals()
    code = finish_streams(code, sys.argv[1:])
    if any(thread.daemon for thread in threading.enumerate()):
        # FFmpeg or a driver can hold a camera's thread for seconds, and Python crashes where it ends before that.
        os._exit(code)
    raise SystemExit(code)


if __name__ == "__main__":
    run_program()
