#!/usr/bin/env python3
"""Proves that includes only point down the layers of docs/architecture.md.

A file includes its own layer and those below it. Further rules, each with its reason:
  - siblings (worker and beat) never include each other
  - wire is pure: it knows values and bytes, no event loop
  - an engine's folder (broker/redis, backend/redis, ...) is seen by that engine and by `engines` alone,
    so a new engine is a folder and one line
  - public headers include public headers and the standard library alone, so that users need no other headers
  - libraries that are slow to compile stay out of headers

Usage: check_layers.py [repository]; prints every violation and exits with 1 when there is one.
"""

import re
import sys
from pathlib import Path

# From the bottom up; layers of one row do not stand above one another.
ROWS = [
    ["base"],
    ["net"],
    ["wire"],
    ["client"],
    ["broker", "backend"],
    ["engines"],
    ["app"],
    ["execution"],
    ["worker", "beat"],
    ["monitor"],
    ["cli"],
]
RANK = {layer: rank for rank, row in enumerate(ROWS) for layer in row}
SIBLINGS = {"worker": {"beat"}, "beat": {"worker"}}
PURE = {"wire": {"base", "wire"}}
ENGINE_FOLDERS = ("broker", "backend")

# The layer that a public header belongs to; those that are not listed are the app's.
PUBLIC_VALUES = {"value.hpp", "error.hpp", "states.hpp", "config.hpp", "task_options.hpp"}
PUBLIC_TOP = {"main.hpp", "lovage.hpp"}

HEAVY = ("rapidjson/", "spdlog/", "CLI/", "toml++/", "openssl/")
# A template over RapidJSON that two parsers of its own layer share; nothing else includes it.
TEMPLATES_OVER_HEAVY = {"wire/json_reader.hpp"}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def public_layer(name):
    if name in PUBLIC_VALUES:
        return "base"
    return "cli" if name in PUBLIC_TOP else "app"


def includes(path):
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1) == '"', match.group(2)


def engine_of(parts):
    """("broker", "redis", "x.hpp") -> "redis"; None for files beside the engines' folders."""
    return parts[1] if len(parts) > 2 and parts[0] in ENGINE_FOLDERS else None


def why_not(layer, parts, target, target_parts):
    """Why a file of `layer` may not include a file of `target`, or None."""
    if target not in RANK:
        return f"'{target}' is no layer"
    if RANK[target] > RANK[layer]:
        return f"{layer} stands below {target}"
    if target in SIBLINGS.get(layer, ()):
        return f"{layer} and {target} are siblings and never include each other"
    if layer in PURE and target not in PURE[layer]:
        return f"{layer} is pure: it may include {', '.join(sorted(PURE[layer]))} alone"
    engine = engine_of(target_parts)
    if engine and layer != "engines" and engine_of(parts) != engine:
        return f"the {engine} engine is for itself and for 'engines' alone"
    return None


def check_source(root, path):
    parts = path.relative_to(root / "src").parts
    layer = parts[0]
    if layer not in RANK:
        yield 0, f"src/{layer} is no layer that this check knows"
        return
    for number, quoted, name in includes(path):
        if name.startswith("lovage/"):
            # Its own exceptions and values are what a layer may always speak in.
            target = public_layer(name.removeprefix("lovage/"))
            if RANK[target] > RANK[layer]:
                yield number, f"{name} belongs to {target}; {layer} stands below it"
        elif (root / "src" / name).is_file():
            reason = why_not(layer, parts, name.split("/")[0], tuple(name.split("/")))
            if reason:
                yield number, f"{name}: {reason}"
        elif quoted:
            yield number, f'{name} is not found under src/ (includes are written "layer/file.hpp")'
        elif path.suffix == ".hpp" and name.startswith(HEAVY) and "/".join(parts) not in TEMPLATES_OVER_HEAVY:
            yield number, f"{name} is slow to compile and stays out of headers"


def check_public(root, path):
    for number, quoted, name in includes(path):
        if name.startswith("lovage/"):
            if not (root / "include" / name).is_file():
                yield number, f"{name} does not exist"
        elif path.name == "nlohmann.hpp" and name == "nlohmann/json.hpp":
            continue  # the adaptor that only users of nlohmann::json include
        elif quoted or "/" in name or name.endswith((".h", ".hpp")):
            yield number, f"{name}: public headers include the standard library and lovage/ alone"


def check(root):
    problems = []
    files = 0
    for folder, checker in (("src", check_source), ("include", check_public)):
        for path in sorted((root / folder).rglob("*.[hc]pp")):
            files += 1
            problems += [f"{path.relative_to(root)}:{number}: {text}" for number, text in checker(root, path)]
    return files, problems


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent).resolve()
    files, problems = check(root)
    if not files:
        print(f"no sources under {root}")
        return 1
    for problem in problems:
        print(problem)
    print(f"{files} files, {len(problems)} layer violations")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
