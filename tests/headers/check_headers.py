#!/usr/bin/env python3
"""Compiles every public header alone, and every code example of the headers and the Markdown pages.

Usage: check_headers.py ROOT COMPILER [FLAG...]

An example in a header is a run of comment lines that are indented by three spaces or more; in Markdown it is
a ```cpp block. Examples see tests/headers/prelude.hpp, which declares what they take for granted. One that
has a main() of its own is compiled as the whole program that it is; another stands at global scope if it compiles
there, or in a namespace (where its names hide the prelude's), or inside a function.
"""

import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import textwrap


def compile_text(compiler, flags, folder, name, text):
    """The compiler's messages; empty when the text compiles."""
    path = folder / (re.sub(r"\W+", "_", name) + ".cpp")
    path.write_text(text)
    done = subprocess.run([*compiler, *flags, "-fsyntax-only", str(path)], capture_output=True, text=True, timeout=300)
    return "" if done.returncode == 0 else done.stderr or "the compiler failed without a message"


def examples_of_header(text):
    """(line, code) of each example among the comments."""
    found, block, start = [], [], 0
    for number, line in enumerate([*text.splitlines(), ""], 1):
        comment = re.match(r"\s*//(.*)", line)
        body = comment.group(1) if comment else None
        if body is not None and (body.startswith("   ") or (block and not body.strip())):
            if not block:
                start = number
            block.append(body)
            continue
        if block and any(c in "".join(block) for c in ";{"):
            found.append((start, textwrap.dedent("\n".join(block))))
        block = []
    return found


def examples_of_markdown(text):
    return [(text.count("\n", 0, match.start()) + 2, match.group(1))
            for match in re.finditer(r"^```cpp\n(.*?)^```", text, re.MULTILINE | re.DOTALL)]


def check_example(compiler, flags, folder, name, code):
    """An error text, or nothing."""
    if re.search(r"\bint main\(", code):
        return compile_text(compiler, flags, folder, name, code)
    includes = "\n".join(line for line in code.splitlines() if line.startswith("#include"))
    rest = "\n".join(line for line in code.splitlines() if not line.startswith("#include"))
    head = f'{includes}\n#include "headers/prelude.hpp"\n'
    messages = []
    for place, before, after in (("at global scope", "", ""), ("in a namespace", "namespace example {\n", "\n}\n"),
                                 ("in a function", "void example() {\n", "\n}\n")):
        errors = compile_text(compiler, flags, folder, name + place, head + before + rest + after)
        if not errors:
            return ""
        messages.append(f"{place}:\n{errors}")
    return "\n".join(messages)


def main():
    root, compiler, flags = pathlib.Path(sys.argv[1]), [sys.argv[2]], sys.argv[3:]
    headers = sorted((root / "include").rglob("*.hpp"))
    pages = [root / "README.md", *sorted((root / "docs").rglob("*.md")), *sorted((root / "examples").rglob("*.md"))]
    if not headers:
        print("check_headers: no header found under", root / "include")
        return 1
    jobs = []
    with tempfile.TemporaryDirectory(prefix="lovage-headers-") as temporary, \
            concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        folder = pathlib.Path(temporary)
        for header in headers:
            name = header.relative_to(root / "include").as_posix()
            alone = f"#include <{name}>\n#include <{name}>\n"
            jobs.append((name, pool.submit(compile_text, compiler, flags, folder, name, alone)))
            for line, code in examples_of_header(header.read_text()):
                code = f"#include <{name}>\n{code}"
                jobs.append((f"{name}:{line}", pool.submit(check_example, compiler, flags, folder, f"{name}_{line}", code)))
        for page in pages:
            name = page.relative_to(root).as_posix()
            for line, code in examples_of_markdown(page.read_text()) if page.exists() else []:
                jobs.append((f"{name}:{line}", pool.submit(check_example, compiler, flags, folder, f"{name}_{line}", code)))
        failures = [(name, job.result()) for name, job in jobs if job.result()]
    for name, errors in failures:
        print(f"check_headers: {name} does not compile:\n{errors}")
    print(f"check_headers: {len(jobs) - len(failures)} of {len(jobs)} headers and examples compile")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
