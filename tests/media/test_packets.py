"""The file of encoded packets that resuming is built on."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from livestyle.media.video.packets import read_packets, write_packets
from tests.ffmpeg import Make


@pytest.fixture
def file(make: Make, tmp_path: Path) -> Path:
    """With B-frames, so that the two timestamps differ."""
    clip = make("clip.mp4", "-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25:duration=0.4", "-c:v", "libx264")
    with av.open(str(clip)) as container, (tmp_path / "packets").open("wb") as file:
        write_packets(file, [packet for packet in container.demux(video=0) if packet.size])
    return tmp_path / "packets"


def test_packets_come_back_as_they_were(file: Path) -> None:
    with av.open(str(file.with_name("clip.mp4"))) as container:
        expected = [packet for packet in container.demux(video=0) if packet.size]
        found = list(read_packets(file))
        assert len(found) == 10
        for one, other in zip(found, expected, strict=True):
            assert bytes(one) == bytes(other)
            assert (one.pts, one.dts, one.duration, one.is_keyframe) == (
                other.pts,
                other.dts,
                other.duration,
                other.is_keyframe,
            )
    assert any(packet.pts != packet.dts for packet in found)


@pytest.mark.parametrize("cut", [1, -1])
def test_a_file_that_ends_within_a_packet_is_damaged(file: Path, cut: int) -> None:
    """Within its header, or within its data."""
    whole = file.read_bytes()
    file.write_bytes(whole[:cut])
    with pytest.raises(ValueError, match="ends within a packet"):
        list(read_packets(file))
