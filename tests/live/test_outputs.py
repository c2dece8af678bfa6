"""One painting to many sinks."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from livestyle.errors import LivestyleError, OutputError
from livestyle.live.outputs import Outputs
from livestyle.media.frames import BgrImage, FrameSink

IMAGE = np.zeros((2, 2, 3), np.uint8)


class Sink(FrameSink):
    """Keeps the times it is given; fails where it is told to."""

    def __init__(self, *, fails: bool = False, fails_to_close: str = "") -> None:
        self.times: list[float] = []
        self.closed = 0
        self._fails = fails
        self._fails_to_close = fails_to_close

    def write(self, image: BgrImage, time: Fraction | float) -> None:
        if self._fails:
            raise OutputError("the disk is full")
        self.times.append(float(time))

    def close(self) -> None:
        self.closed += 1
        if self._fails_to_close:
            raise OutputError(self._fails_to_close)

    def abort(self) -> None:
        self.close()


def test_a_sink_that_fails_is_closed_and_reported_and_the_others_go_on() -> None:
    outputs, good, bad = Outputs(), Sink(), Sink(fails=True)
    outputs.add(bad)
    outputs.add(good)
    outputs.write(IMAGE, 1.0)
    outputs.write(IMAGE, 2.0)
    assert good.times == [1, 2]
    assert bad.closed == 1
    assert bad not in outputs
    assert len(outputs) == 1
    assert [str(error) for error in outputs.take_errors()] == ["the disk is full"]
    assert outputs.take_errors() == []


def test_a_sink_that_comes_later_gets_the_last_painting_at_once_where_a_time_is_given() -> None:
    outputs, now, next_one = Outputs(), Sink(), Sink()
    outputs.write(IMAGE, 1.0)
    outputs.add(now, 5.0)
    outputs.add(next_one)
    outputs.write(IMAGE, 6.0)
    assert (now.times, next_one.times) == ([5, 6], [6])


def test_a_sink_that_is_removed_is_completed_and_gets_nothing_more() -> None:
    outputs, sink = Outputs(), Sink()
    outputs.add(sink)
    outputs.remove(sink)
    outputs.write(IMAGE, 1.0)
    assert (sink.times, sink.closed, len(outputs)) == ([], 1, 0)


def test_all_are_completed_and_what_could_not_be_is_said() -> None:
    outputs, sinks = Outputs(), [Sink(fails_to_close="one"), Sink(), Sink(fails_to_close="three")]
    for sink in sinks:
        outputs.add(sink)
    with pytest.raises(LivestyleError, match="one; three"):
        outputs.close()
    assert [sink.closed for sink in sinks] == [1, 1, 1]
