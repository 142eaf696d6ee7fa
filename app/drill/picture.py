"""A drill as a picture: acknowledged orders per second over time, and the faults in it."""

from collections.abc import Iterator

from app.bench import svg
from app.drill.timeline import Mark, Timeline

MOST_LABELS = 12  # beyond, only faults are labelled
LINES = 3  # of labels, one below the other so that near ones do not cover each other


def draw(title: str, subtitle: str, timeline: Timeline) -> str:
    """An SVG file."""
    return svg.picture(title, subtitle, _parts(timeline))


def _parts(timeline: Timeline) -> Iterator[str]:
    points = timeline.per_second()
    seconds = max([time for time, _ in points], default=0.0) + 1
    plot = svg.Plot(seconds, max([rate for _, rate in points], default=0.0) * 1.1)
    start, length = timeline.longest_gap()
    width = max(1.0, plot.x(length) - plot.x(0))
    yield (
        f'<rect x="{plot.x(start):.1f}" y="{svg.TOP}" width="{width:.1f}" '
        f'height="{svg.GROUND - svg.TOP}" fill="#f6d5d5"><title>longest gap: {length:.2f} s</title></rect>'
    )
    yield from plot.grid()
    yield plot.curve(points)
    yield svg.text(svg.LEFT, svg.HEIGHT - 6, "acknowledged orders per second")
    is_crowded = len(timeline.marks) > MOST_LABELS
    for number, mark in enumerate(timeline.marks):
        label = "" if is_crowded and not mark.is_fault else mark.text
        yield from _mark(mark, label, number, plot.x(mark.at - timeline.began))


def _mark(mark: Mark, label: str, number: int, x: float) -> Iterator[str]:
    colour = "#b3261e" if mark.is_fault else "#2e7d32"
    dash = "" if mark.is_fault else ' stroke-dasharray="3 3"'
    anchor = "end" if x > svg.WIDTH * 0.75 else "start"
    y = 32 + number % LINES * 13
    yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y - 8}" y2="{svg.GROUND}" stroke="{colour}"{dash}/>'
    yield svg.text(x + (3 if anchor == "start" else -3), y, label, anchor=anchor, colour=colour, size=10)
