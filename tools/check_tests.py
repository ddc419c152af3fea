#!/usr/bin/env python3
"""Proves that every test on disk is run and that none is switched off in silence.

  - every tests/**/*_test.cpp and *_test.py is named in a CMakeLists.txt of tests/
  - no DISABLED_ tests; GTEST_SKIP() says why on the same line
  - unit tests do not sleep: they wait for nothing
  - docs/*_coverage.md name only tests that exist, as `Suite.Name`

Usage: check_tests.py [repository]; prints every finding and exits with 1 when there is one.
"""

import re
import sys
from pathlib import Path

DISABLED = re.compile(r"\bDISABLED_\w+")
SKIP = re.compile(r"\bGTEST_SKIP\s*\(\s*\)")
SKIP_WITH_REASON = re.compile(r"\bGTEST_SKIP\s*\(\s*\)\s*<<\s*\S")
PYTHON_SKIP = re.compile(r"@(?:unittest|pytest)[.\w]*skip\b(?!\w*\(.*\S)")
SLEEP = re.compile(r"\b(sleep_for|sleep_until|usleep|nanosleep)\s*\(|\btime\.sleep\s*\(")

TEST_CASE = re.compile(r"\bTEST(?:_F|_P)?\s*\(\s*(\w+)\s*,\s*(\w+)\s*\)")
NAMED_CASE = re.compile(r"`([A-Z]\w+\.[A-Z]\w+)`")


def named_files(tests):
    """Paths of all files that the CMakeLists.txt under `tests` name, resolved."""
    found = set()
    for lists in tests.rglob("CMakeLists.txt"):
        text = re.sub(r"#.*", "", lists.read_text(encoding="utf-8"))
        for word in re.findall(r"[\w./${}-]+_test\.(?:cpp|py)", text):
            word = word.replace("${CMAKE_CURRENT_SOURCE_DIR}/", "")
            found.add((lists.parent / word.replace("${PROJECT_SOURCE_DIR}/tests", str(tests))).resolve())
    return found


def check_text(path, unit):
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if DISABLED.search(line):
            yield number, "a test that is switched off (DISABLED_)"
        if SKIP.search(line) and not SKIP_WITH_REASON.search(line):
            yield number, "GTEST_SKIP() without a reason on its line"
        if PYTHON_SKIP.search(line):
            yield number, "a skip without a reason"
        if unit and SLEEP.search(line):
            yield number, "a unit test that sleeps"


def check_pages(root, files):
    """What the coverage pages name and no test file has."""
    cases = {".".join(case) for path in files for case in TEST_CASE.findall(path.read_text(encoding="utf-8"))}
    for page in sorted(root.glob("docs/*_coverage.md")):
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
            for name in NAMED_CASE.findall(line):
                if name not in cases:
                    yield f"{page.relative_to(root)}:{number}: there is no test {name}"


def check(root):
    tests = root / "tests"
    named = named_files(tests)
    files = sorted([*tests.rglob("*_test.cpp"), *tests.rglob("*_test.py")])
    problems = [f"{path.relative_to(root)}: in no test target" for path in files if path.resolve() not in named]
    for path in files:
        unit = path.relative_to(tests).parts[0] == "unit"
        problems += [f"{path.relative_to(root)}:{number}: {text}" for number, text in check_text(path, unit)]
    # Contracts are cases in files of their own name.
    problems += check_pages(root, sorted(tests.rglob("*.cpp")))
    return len(files), problems


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent).resolve()
    files, problems = check(root)
    for problem in problems:
        print(problem)
    print(f"{files} test files, {len(problems)} findings")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
