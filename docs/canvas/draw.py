#!/usr/bin/env python3
"""Draws the pictures of docs/canvas.md, each from a line of text: notation.py.

Usage: draw.py [--check]; with --check nothing is written. Instead it prints which pictures are not as they would be
drawn, or do not stand on the page with their text, and which rows of its forms have none, and exits with 1 when there
is such a thing.
"""

import html
import re
import sys
from pathlib import Path

sys.dont_write_bytecode = True

import notation  # noqa: E402
import shapes  # noqa: E402

FOLDER = Path(__file__).resolve().parent
IMAGE = re.compile(r"!\[([^|\n]*?)\]\(canvas/([\w-]+)\.svg\)")
MARGIN = 10
FORMS, NESTED = 240, 350  # how wide they are
# name: (its width, what it shows, in words, in the notation)
PICTURES = {
    "signature": (FORMS, "a.s(...)", "One task.", "a"),
    "immutable": (FORMS, "a.si(...)", "A task that takes nothing from the one before it.", "before ⇢ a"),
    "chain": (FORMS, "chain(a, b, c)", "Each task's result goes to the next.", "a → b → c"),
    "group": (FORMS, "group(a, b)", "Two tasks side by side.", "{a, b}"),
    "group-of-many": (FORMS, "group(std::vector{...})", "As many tasks side by side as there are.", "{a, a, …}"),
    "chord": (FORMS, "chord(group(a, b), body)", "The results of two tasks go to the body, once there are both.",
              "{a, b} → body"),
    "group-in-chain": (FORMS, "chain(a, group(b, c), d)", "The result of a goes to b and c, and their results to d.",
                       "a → {b, c} → d"),
    "group-ends-chain": (FORMS, "chain(a, group(b, c))", "The result of a goes to b and c.", "a → {b, c}"),
    "empty-chord": (FORMS, "chord(std::vector<Signature>(), body)", "The body waits for no result.", "{} → body"),
    "map": (FORMS, "map(a, items)", "One task that calls a with each item.", "map(a, a, …)"),
    "starmap": (FORMS, "starmap(a, tuples)", "One task that calls a with each tuple.", "starmap(a, a, …)"),
    "chunks": (FORMS, "chunks(a, tuples, 2)", "A group of tasks, each of which calls a twice.",
               "{starmap(a, a), starmap(a, a), …}"),
    "chain-in-header": (NESTED, "chord(group(chain(a, b), c), d)", "The results of b and c go to d.",
                        "{a → b, c} → d"),
    "chord-in-header": (NESTED, "chord(group(chord(group(a, b), c), d), e)",
                        "The results of a and b go to c, those of c and d to e.", "{{a, b} → c, d} → e"),
    "group-ends-header-chain": (NESTED, "chord(group(chain(a, group(b, c)), d), e)",
                                "The results of b and c go to e as one list, beside that of d.",
                                "{a → {b, c} → list, d} → e"),
    "chain-as-body": (NESTED, "chord(group(a, b), chain(c, d))", "The results of a and b go to c, its result to d.",
                      "{a, b} → c → d"),
    "group-after-group": (NESTED, "chain(group(a, b), group(c, d))", "Both results of a and b go to c and to d.",
                          "{a, b} → {c, d}"),
    "chords-in-chain": (NESTED, "chain(group(a, b), c, group(d, e), f)",
                        "The results of a and b go to c, its result to d and e, and their results to f.",
                        "{a, b} → c → {d, e} → f"),
    "group-in-group": (NESTED, "group(a, group(b, c))", "The same as a group of a, b and c.",
                       "{a, {b, c}} = {a, b, c}"),
    "replace": (NESTED, "self.replace(chain(x, y)) in b", "In a chain of a, b and c, x and y stand in the place of b.",
                "a → [b: x → y] → c"),
    "add-to-chord": (NESTED, "self.add_to_chord(x) in a", "The body waits for a, for b, and for x, which a has added.",
                     "{a + x, b} → body"),
    "chain-links": (NESTED, "link and link_error of a chain", "link hangs at the last step, link_error at each.",
                    "a → b → c; link(c's result) at c; link_error(the step that fails) at a, b, c"),
    "group-links": (NESTED, "link and link_error of a group",
                    "link hangs at the first member, link_error at each of them.",
                    "{a, b}; link(after a, no result) at a; link_error(when a fails) at a; "
                    "link_error(when b fails) at b"),
    "chord-links": (NESTED, "link and link_error of a chord",
                    "link hangs at the body; link_error hears of a failure of the header or of the body.",
                    "{a, b} → body; link(body's result) at body; link_error(header or body) at count, body"),
    "chain-callbacks": (NESTED, "on_success, on_failure and on_complete of a chain", "They hang at the whole.",
                        "a → b → c; on_success(c's result) at all; on_failure(once) at all; "
                        "on_complete(c's id) at all"),
    "group-callbacks": (NESTED, "on_success, on_failure and on_complete of a group",
                        "They hang at the whole, which ends with a task that hands on the list of results.",
                        "{a, b} → list; on_success(list of results) at all; on_failure(once) at all; "
                        "on_complete(group's id) at all"),
    "chord-callbacks": (NESTED, "on_success, on_failure and on_complete of a chord", "They hang at the whole.",
                        "{a, b} → body; on_success(body's result) at all; on_failure(once) at all; "
                        "on_complete(body's id) at all"),
}


def draw(width, title, words, written):
    shape = notation.read(written)
    if shape.width > width - 2 * MARGIN:
        raise ValueError(f"{written}: {shape.width:g} wide, which is more than {width} with its margins")
    height = shape.height + 2 * MARGIN
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:g}" width="{width}" height="{height:g}" '
        f'role="img" aria-labelledby="title desc">', f'<title id="title">{html.escape(title)}</title>',
        f'<desc id="desc">{html.escape(words)}</desc>', f"<style>{shapes.STYLE}</style>",
        f'<rect class="ground" width="{width}" height="{height:g}" rx="6"/>',
        *shape.at(MARGIN, MARGIN).svg, "</svg>"]) + "\n"


def rows_without(page):
    """Rows of tables with a column "Graph" that show no picture there."""
    column = None
    for number, line in enumerate(page.splitlines(), 1):
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)]
        if not line.startswith("|"):
            column = None
        elif column is None:
            column = cells.index("Graph") if "Graph" in cells else -1
        elif column > 0 and set(cells[column]) != {"-"} and not IMAGE.match(cells[column]):
            yield f"canvas.md:{number}: {cells[1]} has no picture"


def check(page, files):
    """What is wrong with the page and its files, by their names."""
    drawn = {f"{name}.svg": draw(*picture) for name, picture in PICTURES.items()}
    for name in sorted(drawn.keys() | files.keys()):
        if drawn.get(name) != files.get(name):
            yield f"canvas/{name}: not what draw.py draws"
    shown = {name: text for text, name in IMAGE.findall(page)}
    for name in sorted(PICTURES.keys() | shown.keys()):
        written = PICTURES[name][-1] if name in PICTURES else None
        if shown.get(name) != written:
            yield f"canvas/{name}.svg: drawn from {written}, shown on the page as {shown.get(name)}"
    yield from rows_without(page)


def main():
    if sys.argv[1:] != ["--check"]:
        for name, picture in PICTURES.items():
            (FOLDER / f"{name}.svg").write_text(draw(*picture), encoding="utf-8")
        return 0
    page = FOLDER.with_suffix(".md").read_text(encoding="utf-8")
    problems = list(check(page, {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.svg")}))
    for problem in problems:
        print(problem)
    print(f"{len(PICTURES)} pictures, {len(problems)} findings")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
