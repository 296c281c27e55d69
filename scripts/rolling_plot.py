# SPDX-License-Identifier: Apache-2.0
"""Draws what scripts/rolling has seen, as an SVG that is readable on light and dark ground."""

WIDTH, LEFT, RIGHT, TOP, HIGH, SPACE = 860, 52, 12, 34, 170, 58
COLOURS = ("#2f7ed8", "#d9822b", "#3a9d5d", "#8e5bb5", "#c0504d", "#5f8f99")
GREY = "#808080"


def steps(high):
    """Round numbers from zero to a little above."""
    unit = 10 ** (len(str(int(max(high, 1)))) - 1)
    step = next(unit * factor for factor in (0.1, 0.2, 0.5, 1, 2, 5) if high <= 5 * unit * factor)
    return [step * index for index in range(int(-(-high // step)) + 1)]


class Plot:
    """Panels below each other, over the same seconds."""

    def __init__(self, title, seconds):
        self.seconds, self.parts, self.top, self.title = max(seconds, 1), [], TOP, title

    def x(self, second):
        return LEFT + (WIDTH - LEFT - RIGHT) * second / self.seconds

    def text(self, x, y, text, anchor="start", colour="currentColor", size=12):
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}">{text}</text>')

    def panel(self, title, high, spans, lines, bars=(), limits=()):
        """spans: (from, to, label); lines: [(name, [(second, value)])]; bars: {second: value}; limits: (value, label)."""
        marks = steps(high)
        bottom, top = self.top + HIGH, self.top
        self.top += HIGH + SPACE

        def y(value):
            return bottom - HIGH * value / marks[-1]

        for begin, end, label in spans:
            self.parts.append(f'<rect x="{self.x(begin):.1f}" y="{top}" width="{self.x(end) - self.x(begin):.1f}" height="{HIGH}" fill="{GREY}" opacity="0.15"/>')
            self.text((self.x(begin) + self.x(end)) / 2, top + 14, label, "middle", GREY, 11)
        for value in marks:
            self.parts.append(f'<path d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}" stroke="{GREY}" opacity="0.3"/>')
            self.text(LEFT - 6, y(value) + 4, f"{value:,.0f}", "end")
        for second in steps(self.seconds):
            if second <= self.seconds:
                self.text(self.x(second), bottom + 16, f"{second:.0f} s", "middle")
        for second, value in dict(bars).items():
            self.parts.append(f'<rect x="{self.x(second):.2f}" y="{y(value):.1f}" width="{self.x(1) - LEFT:.2f}" height="{bottom - y(value):.1f}" fill="{COLOURS[0]}"/>')
        for value, label in limits:
            self.parts.append(f'<path d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}" stroke="{COLOURS[4]}" stroke-dasharray="5 4"/>')
            self.text(WIDTH - RIGHT, y(value) - 4, label, "end", COLOURS[4], 11)
        for index, (name, points) in enumerate(lines):
            colour = COLOURS[index % len(COLOURS)]
            path = "L".join(f"{self.x(second):.1f} {y(value):.1f}" for second, value in points)
            self.parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
            self.text(LEFT + 8 + 74 * index, top - 5, name, colour=colour)
        self.text(LEFT + 8 + 74 * len(lines), top - 5, title)

    def svg(self):
        return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.top - SPACE + 30}" role="img" '
                f'font-family="system-ui, sans-serif" color="{GREY}"><title>{self.title}</title>' + "".join(self.parts) + "</svg>\n")
