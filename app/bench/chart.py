"""A run as a picture: how many were answered in each second, and the p99 of these."""

from collections.abc import Sequence

from app.bench import svg
from app.bench.series import Second

ROOM = 1.1  # of the highest value, so that the curve stays below the frame


def draw(title: str, subtitle: str, what: str, timeline: Sequence[Second]) -> str:
    """An SVG file; `what` is counted, as in "orders"."""
    seconds = max(len(timeline), 1)
    rate = svg.Plot(seconds, ROOM * max((second.count for second in timeline), default=0))
    late = svg.Plot(seconds, ROOM * max((second.p99 for second in timeline), default=0))
    middle = [second.at + 0.5 for second in timeline]
    return svg.picture(
        title,
        subtitle,
        [
            *rate.grid(),
            *rate.right_axis(late.most, svg.ORANGE),
            late.curve([(at, second.p99) for at, second in zip(middle, timeline, strict=True)], svg.ORANGE),
            rate.curve([(at, second.count) for at, second in zip(middle, timeline, strict=True)]),
            svg.text(svg.LEFT, svg.TOP - 10, f"{what} per second", colour=svg.BLUE),
            svg.text(svg.WIDTH - svg.RIGHT, svg.TOP - 10, "p99 ms", anchor="end", colour=svg.ORANGE),
        ],
    )
