"""The verb ``livestyle web``."""

from __future__ import annotations

from typing import Annotated

import typer


def web(
    port: Annotated[int, typer.Option(metavar="PORT", help="Of 127.0.0.1; 0: a free one.", min=0, max=65535)] = 8081,
) -> None:
    """Serve the page that paints in a browser, on this machine only."""
    from .page_server import page_server

    with page_server(port) as server:
        print(f"painting at http://127.0.0.1:{server.server_port}/ (end: Ctrl+C)", flush=True)
        server.serve_forever()
