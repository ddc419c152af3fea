"""Boxes, frames and arrows, laid out from left to right, as SVG."""

import dataclasses
import html

STYLE = """
  svg { color: #59636e } text { font: 12px ui-monospace, Menlo, Consolas, monospace; fill: #1f2328 }
  .note { font: 11px system-ui, sans-serif; fill: #59636e }
  rect, path { fill: none; stroke: currentColor; stroke-width: 1.25 }
  .ground { fill: #ffffff; stroke: none } .head { fill: currentColor; stroke: none }
  .task { fill: #ddf4ff; color: #0969da } .call, .count { fill: #ffffff; color: #0969da } .count { color: #59636e }
  .group { fill: #f6f8fa; color: #818b98 } .group, .order { stroke-dasharray: 4 3 }
  .well { color: #1a7f37 } .badly { color: #d1242f } .ended { color: #8250df }
  @media (prefers-color-scheme: dark) {
    svg { color: #9198a1 } text { fill: #f0f6fc } .note { fill: #9198a1 } .ground { fill: #0d1117 }
    .task { fill: #121d2f; color: #4493f8 } .call, .count { fill: #0d1117; color: #4493f8 } .count { color: #9198a1 }
    .group { fill: #151b23; color: #656c76 }
    .well { color: #3fb950 } .badly { color: #f85149 } .ended { color: #ab7df8 }
  }
"""
BOX, GAP, PAD = 26, 22, 8
LETTER, NOTE_LETTER = 7.25, 5.9  # how wide they are at most


@dataclasses.dataclass
class Shape:
    """What stands between (0, 0) and (width, height)."""

    width: float
    height: float
    svg: list
    ins: list = dataclasses.field(default_factory=list)  # where arrows come in
    outs: list = dataclasses.field(default_factory=list)  # and where they leave
    spots: dict = dataclasses.field(default_factory=dict)  # name: (x, y, width, height), where callbacks hang
    count: str = ""  # of a group, for how many results its chord waits

    def at(self, x, y):
        if x == y == 0:
            return self
        return dataclasses.replace(
            self, svg=[f'<g transform="translate({x:g} {y:g})">', *self.svg, "</g>"],
            ins=[(a + x, b + y) for a, b in self.ins], outs=[(a + x, b + y) for a, b in self.outs],
            spots={name: (a + x, b + y, *size) for name, (a, b, *size) in self.spots.items()})


def of(kind):
    return f' class="{kind}"' if kind else ""


def text(words, x, y, kind=""):
    return f'<text{of(kind)} x="{x:g}" y="{y:g}" text-anchor="middle">{html.escape(words)}</text>'


def rect(x, y, width, height, kind, radius=5):
    return f'<rect{of(kind)} x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="{radius}"/>'


def line(start, end, left, right, kind="", head=True):
    """To the right, with the bend between `left` and `right`."""
    (x, y), (to_x, to_y) = start, end
    middle = (left + right) / 2
    bend = f"H{left:g}C{middle:g} {y:g} {middle:g} {to_y:g} {right - 5 * head:g} {to_y:g}" if y != to_y else ""
    tip = [f'<path{of(f"{kind} head".strip())} d="M{to_x:g} {to_y:g}l-7 -4v8z"/>'] if head else []
    return [f'<path{of(kind)} d="M{x:g} {y:g}{bend}H{to_x - 5 * head:g}"/>', *tip]


def drop(start, end, kind):
    """Downwards."""
    (x, y), (to_x, to_y) = start, end
    middle = (y + to_y) / 2
    return [f'<path{of(kind)} d="M{x:g} {y:g}C{x:g} {middle:g} {to_x:g} {middle:g} {to_x:g} {to_y - 5:g}"/>',
            f'<path{of(f"{kind} head")} d="M{to_x:g} {to_y:g}l-4 -7h8z"/>']


def box(name, kind="task"):
    width = max(34, round(LETTER * len(name)) + 16)
    return Shape(width, BOX, [rect(0, 0, width, BOX, kind), text(name, width / 2, 17)], [(0, BOX / 2)],
                 [(width, BOX / 2)], {name: (0, 0, width, BOX)})


def ellipsis():
    return Shape(34, 12, [text("…", 17, 8)])


def calls(name, tasks):
    """One task that makes calls."""
    width = 28 * len(tasks) - 4 + 2 * PAD
    svg = [rect(0, 0, width, 50, "task"), text(name, width / 2, 16)]
    for number, call in enumerate(tasks):
        x = PAD + 28 * number
        svg += [rect(x, 22, 24, 20, "call", 4)] if call != "…" else []
        svg.append(text(call, x + 12, 36))
    return Shape(width, 50, svg, [(0, 25)], [(width, 25)])


def group(members):
    """One below the other."""
    width = max([34, *(member.width for member in members)]) + 2 * PAD
    frame = Shape(width, PAD, [])
    added = 0
    for member in members:
        member = member.at(PAD if member.ins else (width - member.width) / 2, frame.height)
        frame.height += member.height + PAD
        frame.svg += member.svg
        frame.ins += member.ins
        frame.outs += member.outs
        frame.spots |= member.spots
        added += member.count == "+"
    frame.height = max(frame.height, BOX + 2 * PAD)
    frame.svg.insert(0, rect(0, 0, width, frame.height, "group", 8))
    frame.count = f"{len(frame.outs) - added}+{added}" if added else str(len(frame.outs))
    frame.outs = frame.outs or [(width, frame.height / 2)]
    return frame


def adding(adder, added):
    """A member that adds another one to its group."""
    added = added.at(0, BOX + GAP)
    middle = adder.width / 2
    return Shape(adder.width, 2 * BOX + GAP, adder.svg + added.svg + drop((middle, BOX), (middle, BOX + GAP), "order"),
                 adder.ins, adder.outs + added.outs, count="+")


def place(name, inner):
    """What stands in the place of a task."""
    both = beside(box(name, "order"), "⇢", inner).at(PAD, 20)
    width, height = both.width + 2 * PAD, both.height + 40
    title = text(f"{name}'s place and id", width / 2, 14, "note")
    return Shape(width, height, [rect(0, 0, width, height, "", 8), title, *both.svg], both.ins, both.outs)


def joined(shape):
    """A group with the count of its chord."""
    half = 10 if len(shape.count) == 1 else 17
    left, middle = shape.width + GAP, shape.height / 2
    svg = list(shape.svg)
    for out in shape.outs:
        svg += line(out, (left, middle), shape.width, left, head=False)
    svg += [rect(left, middle - 10, 2 * half, 20, "count", 10), text(shape.count, left + half, middle + 4, "note")]
    return Shape(left + 2 * half, shape.height, svg, shape.ins, [(left + 2 * half, middle)],
                 shape.spots | {"count": (left, middle - 10, 2 * half, 20)})


def beside(whole, arrow, shape):
    """One after the other."""
    if whole.count and arrow == "→":
        whole = joined(whole)
    edge, height = whole.width, max(whole.height, shape.height)
    whole = whole.at(0, (height - whole.height) / 2)
    shape = shape.at(edge + GAP, (height - shape.height) / 2)
    svg = whole.svg + shape.svg
    if arrow == "=":
        svg.append(text("=", edge + GAP / 2, height / 2 + 4))
    else:
        for start in whole.outs:
            for end in shape.ins:
                svg += line(start, end, edge, edge + GAP, "order" if arrow == "⇢" else "")
    return Shape(edge + GAP + shape.width, height, svg, whole.ins, shape.outs, whole.spots | shape.spots, shape.count)


def framed(shape):
    """The whole, for what hangs at it."""
    width, height = shape.width + 2 * PAD, shape.height + 2 * PAD
    return Shape(width, height, [rect(0, 0, width, height, "", 8), *shape.at(PAD, PAD).svg],
                 spots={"all": (0, 0, width, height)})


def callback(kind, name, note, width):
    return Shape(width, 38, [rect(0, 0, width, 38, kind), text(name, width / 2, 16), text(note, width / 2, 30, "note")])


def hanging(shape, callbacks):
    """`callbacks`: (kind, name, note, spots). At one spot: on the right of all; at several: below."""
    width = round(max(max(LETTER * len(name), NOTE_LETTER * len(note)) for _, name, note, _ in callbacks)) + 16
    boxes = [(callback(kind, name, note, width), kind, spots) for kind, name, note, spots in callbacks]
    right = [one for one in boxes if len(one[2]) == 1]
    tall = sum(one.height + PAD for one, *_ in right) - PAD
    shape = shape.at(0, max(0, (tall - shape.height) / 2))
    whole = Shape(shape.width + 2 * GAP + width, max(shape.height, tall), list(shape.svg))
    x, y = shape.width + 2 * GAP, (whole.height - tall) / 2
    for hung, kind, (spot,) in right:
        left, top, wide, high = shape.spots[spot]
        whole.svg += hung.at(x, y).svg
        whole.svg += line((left + wide, top + high / 2), (x, y + hung.height / 2), shape.width, x, kind)
        y += hung.height + PAD
    for hung, kind, spots in boxes:
        if len(spots) == 1:
            continue
        starts = [(x + wide / 2, y + high) for x, y, wide, high in (shape.spots[spot] for spot in spots)]
        middle, y = sum(x for x, _ in starts) / len(starts), whole.height + 1.5 * GAP
        whole.svg += hung.at(middle - width / 2, y).svg
        for start in starts:
            whole.svg += drop(start, (middle, y), kind)
        whole.height = y + hung.height
    return whole
