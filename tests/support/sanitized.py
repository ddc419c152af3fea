#!/usr/bin/env python3
"""Runs a test of a build with sanitizers; fails too when any process that it started had a finding.

A worker's child, a fork server or a program that a test starts may have a finding that its parent outlives. So each
process writes its reports to a folder, and the test passes only if that stayed empty.

Usage: sanitized.py [--expect-finding] COMMAND [ARGUMENT...]
"""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
FINDING = 99  # a process that ends because of a finding, and this program then


def options_of(reports, suppressions):
    """The sanitizers' environment variables. What the caller's environment says wins."""
    common = f"log_path={reports}/report:log_exe_name=1:exitcode={FINDING}:print_suppressions=0"
    own = {
        "ASAN_OPTIONS": f"{common}:check_initialization_order=1:strict_init_order=1:strict_string_checks=1:"
                        "detect_stack_use_after_return=1",
        "LSAN_OPTIONS": f"{common}:suppressions={suppressions}/lsan.supp",
        "UBSAN_OPTIONS": f"{common}:print_stacktrace=1",
        "TSAN_OPTIONS": f"{common}:suppressions={suppressions}/tsan.supp:second_deadlock_stack=1:history_size=4",
    }
    return {name: ":".join(filter(None, [value, os.environ.get(name)])) for name, value in own.items()}


def run(command):
    """The command's exit code, and the reports of all its processes by file name."""
    with tempfile.TemporaryDirectory(prefix="lovage-reports-") as folder:
        os.chmod(folder, 0o1777)  # some tests become another user
        process = subprocess.Popen(command, env={**os.environ, **options_of(folder, HERE)})
        # CTest ends a test that takes too long with a signal: so must the test's own process.
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        code = process.wait()
        reports = {path.name: path.read_text(errors="replace") for path in sorted(Path(folder).iterdir())}
    return (128 - code if code < 0 else code), reports


def main():
    arguments = sys.argv[1:]
    expect = arguments[:1] == ["--expect-finding"]
    if expect:
        arguments = arguments[1:]
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    code, reports = run(arguments)
    for name, text in reports.items():
        print(f"--- {name}\n{text}", flush=True)
    if expect:
        print("no finding, though one was expected" if not reports else "as expected")
        return 0 if reports and code == 0 else 1
    if reports:
        print(f"{len(reports)} processes with findings (the command's own exit code: {code})")
        return code or FINDING
    return code


if __name__ == "__main__":
    sys.exit(main())
