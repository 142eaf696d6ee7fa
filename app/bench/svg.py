"""Curves over time as an SVG file: frame, grid, axes and lines."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape

WIDTH, HEIGHT = 900, 320
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 64, 36  # the frame; what is told of marks stands above it
GROUND = HEIGHT - BOTTOM
BLUE, ORANGE, GREY = "#1f5fa8", "#c2630f", "#555"

Points = Sequence[tuple[float, float]]


class Plot:
    """A frame of so many seconds, with a scale from 0 to `most` on its left."""

    def __init__(self, seconds: float, most: float) -> None:
        self.seconds = seconds
        self.most = most or 1.0

    def x(self, second: float) -> float:
        """Where a moment is."""
        return LEFT + second * (WIDTH - LEFT - RIGHT) / self.seconds

    def y(self, value: float) -> float:
        """Where a value is."""
        return GROUND - value * (GROUND - TOP) / self.most

    def grid(self) -> Iterator[str]:
        """Lines and numbers of both axes."""
        for value in ticks(self.most):
            y = self.y(value)
            yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e4e4e4"/>'
            yield text(LEFT - 6, y + 4, f"{value:g}", anchor="end")
        for second in ticks(self.seconds):
            yield text(self.x(second), GROUND + 16, f"{second:g} s", anchor="middle")
        yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{GROUND}" y2="{GROUND}" stroke="{GREY}"/>'

    def right_axis(self, most: float, colour: str) -> Iterator[str]:
        """Numbers of a second scale from 0 to `most`, within the frame's right edge."""
        scale = Plot(self.seconds, most)
        return (
            text(WIDTH - RIGHT, scale.y(value) - 3, f"{value:g}", anchor="end", colour=colour) for value in ticks(most)
        )

    def curve(self, points: Points, colour: str = BLUE) -> str:
        """A line through these (second, value)."""
        line = " ".join(f"{self.x(second):.1f},{self.y(value):.1f}" for second, value in points)
        return f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def text(x: float, y: float, shown: str, *, anchor: str = "start", colour: str = GREY, size: int = 11) -> str:
    """A text at a place."""
    place = f'x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}"'
    return f"<text {place}>{escape(shown)}</text>"


def picture(title: str, subtitle: str, parts: Iterable[str]) -> str:
    """The whole file."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
            f'<text x="{LEFT}" y="18" font-size="14" font-weight="bold" fill="#222">{escape(title)}</text>',
            text(WIDTH - RIGHT, 18, subtitle, anchor="end", size=12),
            *parts,
            "</svg>\n",
        ]
    )


def ticks(most: float) -> Iterator[float]:
    """Round numbers from 0 to below `most`, six at most."""
    step = next(
        size * 10**power for power in range(-3, 10) for size in (1.0, 2.0, 5.0) if most / (size * 10**power) <= 6
    )
    return (number * step for number in range(int(most / step) + 1))
