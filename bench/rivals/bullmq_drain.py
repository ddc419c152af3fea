"""BullMQ, as bench/compare runs it: one Node.js process for each slot (a process runs JavaScript on one core).

    npm install --prefix build/bullmq bullmq ioredis
    python3 bench/rivals/bullmq_drain.py --broker redis://127.0.0.1:6379/6 --tasks 10000

The CPU time that a task burns is taken from process.cpuUsage(), the nearest that Node.js has to a thread's CPU time.
"""

import os
import shutil
import subprocess
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(FOLDER, os.pardir))
import machine
import rival

TASKS = os.path.join(FOLDER, "bullmq_tasks.js")
MODULES = os.path.abspath(os.path.join(FOLDER, "../../build/bullmq/node_modules"))


def main():
    os.environ.setdefault("NODE_PATH", MODULES)
    if shutil.which("node") is None:
        raise machine.Missing("node: apt-get install nodejs npm")
    if not any(all(os.path.isdir(os.path.join(path, name)) for name in ("bullmq", "ioredis")) for path in os.environ["NODE_PATH"].split(":")):
        raise machine.Missing("bullmq: npm install --prefix build/bullmq bullmq ioredis")
    arguments = rival.parse(__doc__.splitlines()[0])

    def node(*words):
        return subprocess.run(["node", TASKS, *words], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    figures = rival.measure(
        arguments, lambda tasks: node("enqueue", str(tasks)), [["node", TASKS, "worker"]] * arguments.concurrency,
        done=lambda broker, backend: broker.command("ZCARD", "bull:bench:completed"),
        latency=lambda: float(node("latency", str(arguments.calls))))
    return {"version": node("version"), **figures}


if __name__ == "__main__":
    rival.run("bullmq_drain", main)
