"""``python -m livestyle`` is ``livestyle``."""

from .cli import main

main()
