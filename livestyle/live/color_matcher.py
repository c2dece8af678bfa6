"""Worker that matches the colours of styles to the camera's, since encoding them takes longer than a key may."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from livestyle.errors import LivestyleError, StyleError, first_line

if TYPE_CHECKING:
    from livestyle.media.frames import BgrImage
    from livestyle.styles.library import Style, StyleLibrary

    from .controls import Controls, MatchRequest


class ColorMatcher:
    """Carries out the requests of `Controls` on a thread, one at a time and always the newest.

    Args:
        library: matches and encodes.
    """

    def __init__(self, library: StyleLibrary) -> None:
        self._library = library
        self._worker = ThreadPoolExecutor(1, "match colours")
        self._current: tuple[MatchRequest, Future[dict[Style, Style]]] | None = None

    def follow(self, controls: Controls, content: BgrImage) -> None:
        """Hand a result to the controls, and begin with the newest request.

        Args:
            controls: whose requests they are.
            content: the camera's image, uint8 [H, W, 3] BGR, of any size.
        """
        if self._current is not None and self._current[1].done():
            (request, future), self._current = self._current, None
            error = future.exception()
            result: dict[Style, Style] | LivestyleError
            if error is None:
                result = future.result()
            elif isinstance(error, LivestyleError):
                result = error
            else:
                result = StyleError(f"the colours cannot be matched ({first_line(error)})")
            controls.matched(request, result, time.monotonic())
        # While the worker is busy with an outdated request, newer ones replace each other.
        if self._current is None and controls.match_request is not None:
            request = controls.match_request
            self._current = request, self._worker.submit(self._match, request, content)

    def close(self) -> None:
        """Wait for the request in hand."""
        self._worker.shutdown()

    def _match(self, request: MatchRequest, content: BgrImage) -> dict[Style, Style]:
        return {
            place: style if style.source is None else self._library.matched(style, content)
            for place, style in request.styles.items()
        }
