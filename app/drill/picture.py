"""A drill as a picture: acknowledged orders per second over time, and the faults in it."""

from collections.abc import Iterator
from html import escape

from app.drill.timeline import Mark, Timeline

WIDTH, HEIGHT = 900, 320
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 64, 36  # the frame; labels of marks stand above it
MOST_LABELS = 12  # beyond, only faults are labelled
LINES = 3  # of labels, one below the other so that near ones do not cover each other


def draw(title: str, subtitle: str, timeline: Timeline) -> str:
    """An SVG file."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
            f'<text x="{LEFT}" y="18" font-size="14" font-weight="bold" fill="#222">{escape(title)}</text>',
            f'<text x="{WIDTH - RIGHT}" y="18" font-size="12" text-anchor="end" fill="#555">{escape(subtitle)}</text>',
            *_plot(timeline),
            "</svg>\n",
        ]
    )


def _plot(timeline: Timeline) -> Iterator[str]:
    points = timeline.per_second()
    seconds = max([time for time, _ in points], default=0.0) + 1
    most = max([rate for _, rate in points], default=0.0) * 1.1 or 1.0
    across, up = (WIDTH - LEFT - RIGHT) / seconds, (HEIGHT - TOP - BOTTOM) / most
    ground = HEIGHT - BOTTOM

    start, length = timeline.longest_gap()
    yield (
        f'<rect x="{LEFT + start * across:.1f}" y="{TOP}" width="{max(1.0, length * across):.1f}" '
        f'height="{ground - TOP}" fill="#f6d5d5"><title>longest gap: {length:.2f} s</title></rect>'
    )
    for value in _ticks(most):
        y = ground - value * up
        yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e4e4e4"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" font-size="11" text-anchor="end" fill="#555">{value:g}</text>'
    for value in _ticks(seconds):
        x = LEFT + value * across
        yield f'<text x="{x:.1f}" y="{ground + 16}" font-size="11" text-anchor="middle" fill="#555">{value:g} s</text>'
    line = " ".join(f"{LEFT + time * across:.1f},{ground - rate * up:.1f}" for time, rate in points)
    yield f'<polyline points="{line}" fill="none" stroke="#1f5fa8" stroke-width="1.5"/>'
    yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{ground}" y2="{ground}" stroke="#555"/>'
    yield f'<text x="{LEFT}" y="{HEIGHT - 6}" font-size="11" fill="#555">acknowledged orders per second</text>'
    is_crowded = len(timeline.marks) > MOST_LABELS
    for number, mark in enumerate(timeline.marks):
        text = "" if is_crowded and not mark.is_fault else mark.text
        yield from _mark(mark, text, number, LEFT + (mark.at - timeline.began) * across, ground)


def _mark(mark: Mark, text: str, number: int, x: float, ground: int) -> Iterator[str]:
    colour = "#b3261e" if mark.is_fault else "#2e7d32"
    dash = "" if mark.is_fault else ' stroke-dasharray="3 3"'
    anchor = "end" if x > WIDTH * 0.75 else "start"
    y = 32 + number % LINES * 13
    yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y - 8}" y2="{ground}" stroke="{colour}"{dash}/>'
    yield (
        f'<text x="{x + (3 if anchor == "start" else -3):.1f}" y="{y}" font-size="10" text-anchor="{anchor}" '
        f'fill="{colour}">{escape(text)}</text>'
    )


def _ticks(most: float) -> Iterator[float]:
    """Round numbers from 0 to below `most`, six at most."""
    step = next(
        size * 10**power for power in range(-2, 9) for size in (1.0, 2.0, 5.0) if most / (size * 10**power) <= 6
    )
    return (number * step for number in range(int(most / step) + 1))
