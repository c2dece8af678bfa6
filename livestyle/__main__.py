"""``python -m livestyle`` is ``livestyle``."""

from livestyle.cli.main import main

main()
