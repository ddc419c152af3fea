"""Tables between markers of a Markdown file, and bar charts as SVG."""

import html
import os

STYLE = """
  .ground { fill: #ffffff } text { font: 14px system-ui, sans-serif; fill: #1f2328 }
  .title { font-weight: 600; font-size: 16px } .quiet { fill: #59636e }
  .ours { fill: #1a7f37 } .theirs { fill: #818b98 }
  @media (prefers-color-scheme: dark) {
    .ground { fill: #0d1117 } text { fill: #f0f6fc } .quiet { fill: #9198a1 }
    .ours { fill: #3fb950 } .theirs { fill: #656c76 }
  }
"""
WIDTH, LABEL, VALUE, ROW, TOP = 720, 170, 110, 34, 70


def number(value):
    """Three significant digits, thousands apart."""
    if value is None:
        return "–"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def chart(title, unit, bars):
    """`bars`: (label, value, ours) from top to bottom. The length is linear and begins at 0."""
    largest = max(value for _, value, _ in bars)
    height = TOP + ROW * len(bars) + 10
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
           f'role="img" aria-label="{html.escape(title)}">', f"<style>{STYLE}</style>",
           f'<rect class="ground" width="{WIDTH}" height="{height}" rx="6"/>',
           f'<text class="title" x="16" y="28">{html.escape(title)}</text>',
           f'<text class="quiet" x="16" y="50">{html.escape(unit)}</text>']
    for row, (label, value, ours) in enumerate(bars):
        y = TOP + ROW * row
        length = max(1.0, value / largest * (WIDTH - LABEL - VALUE)) if largest else 1.0
        out.append(f'<text x="{LABEL - 10}" y="{y + 17}" text-anchor="end">{html.escape(label)}</text>')
        out.append(f'<rect class="{"ours" if ours else "theirs"}" x="{LABEL}" y="{y}" width="{length:.1f}" height="24" rx="3"/>')
        out.append(f'<text x="{LABEL + length + 8:.1f}" y="{y + 17}">{number(value)}</text>')
    return "\n".join(out + ["</svg>"]) + "\n"


def write_between(path, name, text):
    """Replaces what stands between <!-- name:begin --> and <!-- name:end --> of the file, in one step."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    with open(path, encoding="utf-8") as file:
        old = file.read()
    if old.count(begin) != 1 or old.count(end) != 1 or old.index(end) < old.index(begin):
        raise RuntimeError(f"{path}: wants one line {begin} and after it one line {end}")
    head, tail = old[:old.index(begin) + len(begin)], old[old.index(end):]
    write(path, f"{head}\n\n{text}\n\n{tail}")


def write(path, text):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(path + ".new", path)
