#!/usr/bin/env python3
"""Proves that a source does not compile, for the reason that it names.

Usage: check_failure.py SOURCE COMPILER [FLAG...]

Each comment line "// EXPECT: text" has to stand in what the compiler says, whatever the blanks. With the macro FIXED
the source has to compile: then nothing but what is shown is wrong with it.
"""

import re
import subprocess
import sys


def compile_source(source, command, *more):
    return subprocess.run([*command, *more, "-fsyntax-only", source], capture_output=True, text=True, timeout=300)


def without_blanks(text):
    return re.sub(r"\s", "", text)


def main():
    source, command = sys.argv[1], sys.argv[2:]
    with open(source, encoding="utf-8") as file:
        expected = re.findall(r"^// EXPECT: (.*)$", file.read(), re.MULTILINE)
    if not expected:
        print(f"{source}: names no EXPECT")
        return 1
    fixed = compile_source(source, command, "-DFIXED")
    if fixed.returncode != 0:
        print(f"{source}: does not compile with FIXED either:\n{fixed.stderr}")
        return 1
    broken = compile_source(source, command)
    if broken.returncode == 0:
        print(f"{source}: compiles")
        return 1
    missing = [text for text in expected if without_blanks(text) not in without_blanks(broken.stderr)]
    for text in missing:
        print(f"{source}: the compiler does not say: {text}")
    if missing:
        print(broken.stderr)
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
