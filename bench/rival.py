"""How every rival is measured: the same steps, with only the system's own calls left to its adapter.

An adapter fills the queue, starts the system's workers, counts what is done, and prints one JSON object:

    drain_per_s   tasks a second, from the first look at which a task was done until all are
    lat_p50_ms    send -> result, back to back; null for a system without results
    pss_mib       memory of all worker processes, each counted once
    startup_ms    from the start of the first worker process until the first waiting task is done
"""

import argparse
import json
import os
import statistics
import subprocess
import time

import machine

STUCK_SECONDS = 60


def work():
    """The task: burns BENCH_WORK_US microseconds of its thread's CPU time."""
    end = time.thread_time() + int(os.environ.get("BENCH_WORK_US", "0")) / 1e6
    while time.thread_time() < end:
        pass


def parse(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--broker", required=True, help="redis:// URL with an empty database")
    parser.add_argument("--backend", help="redis:// URL with an empty database, where the system has one of its own")
    parser.add_argument("--tasks", type=int, default=3_000)
    parser.add_argument("--work-us", type=int, default=0, help="CPU time that a task burns")
    parser.add_argument("--calls", type=int, default=300, help="calls whose latency is measured")
    parser.add_argument("--concurrency", type=int, default=2)
    arguments = parser.parse_args()
    arguments.backend = arguments.backend or arguments.broker
    os.environ.update(BENCH_BROKER=arguments.broker, BENCH_BACKEND=arguments.backend,
                      BENCH_WORK_US=str(arguments.work_us))
    return arguments


def start(commands, folder=None):
    return [subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) for command in commands]


def drain(workers, done, tasks):
    """Milliseconds until the first task is done, and tasks a second from there to the last one."""
    begun = progress = time.monotonic()
    first = first_at = seen = 0
    while seen < tasks:
        time.sleep(0.002)
        now, count = time.monotonic(), done()
        if any(worker.poll() is not None for worker in workers):
            raise RuntimeError("a worker ended while it drained the queue")
        if count > seen:
            progress = now
            if not seen:
                first, first_at = count, now
        if now - progress > STUCK_SECONDS:
            raise RuntimeError("the worker does not drain the queue: %d of %d done" % (count, tasks))
        seen = count
    if first == tasks:
        raise RuntimeError("too few tasks to measure: they were done at the first look")
    return (first_at - begun) * 1000, (tasks - first) / (time.monotonic() - first_at)


def latency_p50_ms(calls, call):
    times = []
    for _ in range(calls):
        begun = time.perf_counter()
        call()
        times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times)


def measure(arguments, enqueue, commands, done, latency, folder=None):
    """`enqueue(tasks)`; `commands` of the workers; `done(broker, backend)` counts; `latency()` gives p50 or None."""
    urls = {arguments.broker, arguments.backend}
    clients = {url: machine.Redis(url) for url in urls}
    for client in clients.values():
        client.want_empty()
    broker, backend = clients[arguments.broker], clients[arguments.backend]
    workers = []
    try:
        enqueue(arguments.tasks)
        before = done(broker, backend)
        workers = start(commands, folder)
        startup, per_second = drain(workers, lambda: done(broker, backend) - before, arguments.tasks)
        figures = {"drain_per_s": per_second, "lat_p50_ms": latency(), "startup_ms": startup}
        figures["pss_mib"] = machine.pss_mib(workers)
        return figures
    finally:
        for worker in workers:
            machine.stop(worker)
        for client in clients.values():
            client.command("FLUSHDB")


def run(name, body):
    machine.run(name, lambda: print(json.dumps(body())))
