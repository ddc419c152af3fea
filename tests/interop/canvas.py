"""Runs the workflows of canvas_scenarios.py with real Celery as their producer and those of interop_flows.cpp with
Lovage: all steps in C++, and alternating between a Lovage worker and a Celery worker, beginning with either.

Usage: canvas.py --app INTEROP_APP [--python PYTHON ...] [--only NAME]
Exits with 0 when every scenario holds, 2 when no Celery can be had at all.
"""

import argparse
import os
import sys
import tempfile

import matrix


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--app", required=True)
    parser.add_argument("--python", action="append", default=[])
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    passed = failed = 0
    versions = []
    with tempfile.TemporaryDirectory(prefix="lovage-canvas-") as folder:
        runner = matrix.Matrix(os.path.abspath(options.app), folder)
        for python in map(os.path.abspath, options.python):
            version = matrix.version_of(python)
            if version is None:
                print(f"{python} has no Celery: left out", flush=True)
                continue
            versions.append(version)
            label = ".".join(version[0].split(".")[:2])
            types = "5.2" if label in ("5.0", "5.1", "5.2") else "5.6"
            with matrix.redis_server(folder) as port:
                environment = runner.environment(port, types)
                lovage = [runner.app, "worker", "-Q", "canvas_cpp", "-c", "2", "-P", "threads", "-l", "INFO"]
                celery = [python, "-m", "celery", "-A", "pyapp", "worker", "-Q", "canvas_py,interop", "-c", "2", "-l", "INFO"]
                with matrix.running(f"lovage-{label}", lovage + ["-n", "cpp@%h"], environment, folder, "ready.") as log:
                    with matrix.running(f"celery-{label}", celery + ["-n", "py@%h"], environment, folder, "ready."):
                        for placement in ("cpp", "cpp-py", "py-cpp"):
                            where = ["--placement", placement, "--folder", folder]
                            celery_sends = [python, "canvas_scenarios.py", *where, "--only", options.only]
                            lovage_sends = [runner.app, "send-flows", *where, options.only]
                            found = {}
                            if not options.only.startswith("lovage_sends_"):
                                found.update(matrix.outcomes(celery_sends, environment, folder, log))
                            if not options.only or options.only.startswith("lovage_sends_"):
                                found.update(matrix.outcomes(lovage_sends, environment, folder, log))
                            bad = [(name, detail) for name, (ok, detail) in found.items() if not ok]
                            passed += len(found) - len(bad)
                            failed += len(bad)
                            for name, detail in bad:
                                print(f"FAILED Celery {label}, {placement}: {name}: {detail}", flush=True)
    if not versions:
        print("no Python with Celery: install Debian's python3-celery and python3-redis")
        return 2
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
