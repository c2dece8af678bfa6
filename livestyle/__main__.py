"""``python -m livestyle`` is ``livestyle``."""

from livestyle.cli.main import run_program

run_program()
