#!/usr/bin/env python3
"""Looks at built programs and libraries for what LOVAGE_HARDENING promises.

Usage: hardening.py FILE...
"""

import re
import subprocess
import sys


def readelf(option, path):
    return subprocess.run(["readelf", "-W", option, path], capture_output=True, text=True, check=True,
                          env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"}).stdout


def segments(path):
    """The words of each program header's line, its type first."""
    return [line.split() for line in readelf("-l", path).splitlines() if re.match(r"  [A-Z_]+ +0x", line)]


def findings(path):
    headers = segments(path)
    dynamic = readelf("-d", path)
    symbols = readelf("--dyn-syms", path)
    if "DYN (" not in readelf("-h", path):
        yield "is loaded at a fixed address (not position independent)"
    if not any(header[0] == "GNU_RELRO" for header in headers):
        yield "has no RELRO segment"
    if "BIND_NOW" not in dynamic and " NOW" not in dynamic:
        yield "binds lazily: its relocations stay writable"
    # Type, offset, two addresses, two sizes, flags, alignment.
    stack = ["".join(header[6:-1]) for header in headers if header[0] == "GNU_STACK"]
    if not stack or "E" in stack[0]:
        yield "has an executable stack"
    # A program that is nothing but main() has nothing to protect; the libraries have.
    if ".so" in path:
        if "__stack_chk_fail" not in symbols:
            yield "has no stack protector"
        if "_chk@GLIBC" not in symbols:
            yield "calls no checked functions of the C library (_FORTIFY_SOURCE)"
        if "__glibcxx_assert_fail" not in symbols:
            yield "has no assertions of the standard library (_GLIBCXX_ASSERTIONS)"


def main():
    bad = [(path, finding) for path in sys.argv[1:] for finding in findings(path)]
    for path, finding in bad:
        print(f"{path} {finding}")
    print(f"{len(sys.argv) - 1} files, {len(bad)} findings")
    return 1 if bad or len(sys.argv) < 2 else 0


if __name__ == "__main__":
    sys.exit(main())
