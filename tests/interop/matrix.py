"""Runs real Celery and Lovage against each other on one redis-server and writes the matrix as a table.

Usage: matrix.py --app INTEROP_APP --output docs/interop.md [--python NAME=PYTHON ...]

Each PYTHON that has Celery gives a column pair: its Celery sends to a Lovage worker, and Lovage sends to
its Celery worker. Exits with 0 when every cell holds, 2 when no Celery can be had at all.
"""

import argparse
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
QUEUES = "interop,interop_other"
START_SECONDS = 60
RUN_SECONDS = 600


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def redis_server(folder):
    port = free_port()
    process = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder],
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as ping:
                ping.sendall(b"PING\r\n")
                if ping.recv(16).startswith(b"+PONG"):
                    break
            if time.monotonic() > deadline:
                raise SystemExit("redis-server did not answer")
            time.sleep(0.02)
        # Whoever answered was ours only if ours has got the port.
        if process.poll() is not None:
            raise SystemExit(f"redis-server could not start at port {port}")
        yield port
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def running(name, command, environment, folder, ready):
    """A worker process, from the moment its log says `ready` until TERM has ended it."""
    log_path = os.path.join(folder, f"{name}.log")
    with open(log_path, "w", encoding="utf-8") as log:
        process = subprocess.Popen(command, env=environment, cwd=HERE, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_SECONDS
        while ready not in read(log_path):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{' '.join(command)} did not start:\n{read(log_path)}")
            time.sleep(0.05)
        yield log_path
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise SystemExit(f"{name} did not stop on TERM:\n{read(log_path)}") from None


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def outcomes(command, environment, folder, worker_log):
    """The scenario lines that a sending program prints: {scenario: (ok, detail)}."""
    process = subprocess.run(
        command, env=environment, cwd=HERE, stdout=subprocess.PIPE, timeout=RUN_SECONDS, check=False, text=True
    )
    found = {}
    for line in process.stdout.splitlines():
        outcome = json.loads(line)
        found[outcome["scenario"]] = (outcome["ok"], outcome["detail"])
    if not found:
        raise SystemExit(f"{' '.join(command)} reported nothing (exit {process.returncode})")
    for name, (ok, detail) in found.items():
        if not ok:
            print(f"FAILED {name}: {detail}", flush=True)
    if process.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}\n{read(worker_log)[-4000:]}")
    return found


def version_of(python):
    if not os.path.exists(python):
        return None
    program = "import celery, kombu; print(celery.__version__, kombu.__version__)"
    answer = subprocess.run([python, "-c", program], capture_output=True, text=True, check=False)
    return answer.stdout.split() if answer.returncode == 0 else None


class Matrix:
    def __init__(self, app, folder):
        self.app = app
        self.folder = folder
        self.columns = []  # (title, {scenario: (ok, detail)})

    def environment(self, port, types):
        environment = dict(os.environ)
        environment.pop("PYTHONPATH", None)
        environment.update(
            INTEROP_BROKER=f"redis://127.0.0.1:{port}/0",
            INTEROP_BACKEND=f"redis://127.0.0.1:{port}/1",
            CELERY_BROKER_URL=f"redis://127.0.0.1:{port}/0",
            CELERY_RESULT_BACKEND=f"redis://127.0.0.1:{port}/1",
            LOVAGE_JSON_TYPES=types,
        )
        return environment

    def lovage_worker(self, name, environment, pool="prefork"):
        command = [self.app, "worker", "-Q", QUEUES, "-c", "2", "-P", pool, "-l", "INFO", "-n", f"{name}@%h"]
        return running(name, command, environment, self.folder, "ready.")

    def celery_worker(self, name, python, environment):
        command = [python, "-m", "celery", "-A", "pyapp", "worker", "-Q", QUEUES, "-c", "2", "-l", "INFO"]
        return running(name, command + ["-n", f"{name}@%h"], environment, self.folder, "ready.")

    def celery_sends(self, label, python, port, types):
        environment = self.environment(port, types)
        sender = [python, "scenarios.py", "--types", types, "--folder", self.folder]
        for pool in ("prefork", "threads"):
            with self.lovage_worker(f"lovage-{label}-{pool}", environment, pool) as log:
                found = outcomes(sender, environment, self.folder, log)
            self.columns.append((f"Celery {label} → Lovage ({pool})", found))

    def lovage_sends(self, label, python, port, types):
        environment = self.environment(port, types)
        with self.celery_worker(f"celery-{label}", python, environment) as log:
            found = outcomes([self.app, "send", "--folder", self.folder], environment, self.folder, log)
        self.columns.append((f"Lovage → Celery {label}", found))

    def mixed(self, label, python, port, types):
        """One queue served by both at once, sent to by both: everything runs once, both take part."""
        environment = self.environment(port, types)
        with self.lovage_worker("mixed-lovage", environment):
            with self.celery_worker("mixed-celery", python, environment) as log:
                found = outcomes([python, "mixed.py"], environment, self.folder, log)
                found.update(outcomes([self.app, "send-mixed"], environment, self.folder, log))
        self.columns.append((f"one queue, Celery {label} and Lovage workers", found))

    def write(self, path, versions):
        names = []
        for _, found in self.columns:
            names += [name for name in found if name not in names]
        lines = [
            "# Interoperation with real Celery",
            "",
            "Written by the test `interop_matrix` (`./test`), which runs real Celery and Lovage against each other on one",
            "redis-server: " + "; ".join(f"Celery {celery} with kombu {kombu}" for celery, kombu in versions) + ".",
            "Each row is a scenario of `tests/interop/scenarios.py` (Celery sends) and `tests/interop/interop_app.cpp`",
            "(Lovage sends); ✓ means that every check in it held, – that the row is not of that direction.",
            "",
            "| scenario | " + " | ".join(title for title, _ in self.columns) + " |",
            "|---|" + "---|" * len(self.columns),
        ]
        for name in names:
            cells = []
            for _, found in self.columns:
                cells.append("–" if name not in found else "✓" if found[name][0] else "✗")
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")

    def failures(self):
        return [
            (title, name, detail)
            for title, found in self.columns
            for name, (ok, detail) in found.items()
            if not ok
        ]

    def cells(self):
        return sum(len(found) for _, found in self.columns)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--app", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--python", action="append", default=[])
    arguments = parser.parse_args()
    versions = []
    with tempfile.TemporaryDirectory(prefix="lovage-interop-") as folder:
        matrix = Matrix(os.path.abspath(arguments.app), folder)
        for python in map(os.path.abspath, arguments.python):
            version = version_of(python)
            if version is None:
                print(f"{python} has no Celery: its columns are left out", flush=True)
                continue
            versions.append(version)
            label = ".".join(version[0].split(".")[:2])
            types = "5.2" if label in ("5.0", "5.1", "5.2") else "5.6"
            with redis_server(folder) as port:
                matrix.celery_sends(label, python, port, types)
                matrix.lovage_sends(label, python, port, types)
                matrix.mixed(label, python, port, types)
        if not versions:
            print("no Python with Celery: install Debian's python3-celery and python3-redis")
            return 2
        if len(versions) == len(arguments.python):
            matrix.write(arguments.output, versions)
        else:
            print(f"{arguments.output} is left as it is: it has columns that this run has not")
    failures = matrix.failures()
    for title, name, detail in failures:
        print(f"FAILED {title}: {name}: {detail}")
    print(f"{matrix.cells() - len(failures)} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
