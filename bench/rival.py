"""How every rival is measured: the same steps, with only the system's own calls left to its adapter.

An adapter fills the queue, starts the system's workers, counts what is done, and prints one JSON object:

    drain_per_s   tasks a second, from the first look at which a task was done until all are
    lat_p50_ms    send -> result, back to back; null for a system without results
    pss_mib       memory of all worker processes, each counted once
    startup_ms    from the start of the first worker process until the first waiting task is done
"""

import argparse
import contextlib
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


def parse(description, workloads=()):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--broker", required=True, help="redis:// URL with an empty database")
    parser.add_argument("--backend", help="redis:// URL with an empty database, where the system has one of its own")
    parser.add_argument("--tasks", type=int, default=3_000)
    parser.add_argument("--work-us", type=int, default=0, help="CPU time that a task burns")
    parser.add_argument("--calls", type=int, default=300, help="calls whose latency is measured")
    parser.add_argument("--concurrency", type=int, default=2)
    if workloads:
        parser.add_argument("--workload", choices=workloads, required=True)
    arguments = parser.parse_args()
    arguments.backend = arguments.backend or arguments.broker
    os.environ.update(BENCH_BROKER=arguments.broker, BENCH_BACKEND=arguments.backend,
                      BENCH_WORK_US=str(arguments.work_us))
    return arguments


@contextlib.contextmanager
def databases(arguments):
    """Clients of the broker and of the backend, whose databases have to be empty and are empty afterwards."""
    clients = {url: machine.Redis(url) for url in {arguments.broker, arguments.backend}}
    for client in clients.values():
        client.want_empty()
    try:
        yield clients[arguments.broker], clients[arguments.backend]
    finally:
        for client in clients.values():
            client.command("FLUSHDB")


@contextlib.contextmanager
def running(commands, folder=None):
    """The workers' processes, ended afterwards."""
    workers = [subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) for command in commands]
    try:
        yield workers
    finally:
        for worker in workers:
            machine.stop(worker)


def looks(workers, done, tasks):
    """(moment, tasks done) at every look, until all are done."""
    progress = time.monotonic()
    seen = 0
    while seen < tasks:
        time.sleep(0.002)
        now, count = time.monotonic(), done()
        if any(worker.poll() is not None for worker in workers):
            raise RuntimeError("a worker ended before its tasks")
        if count > seen:
            progress = now
        if now - progress > STUCK_SECONDS:
            raise RuntimeError("the worker stands still: %d of %d done" % (count, tasks))
        seen = count
        yield now, count


def drain(workers, done, tasks):
    """Milliseconds until the first task is done, and tasks a second from there to the last one."""
    begun = time.monotonic()
    first = 0
    for now, count in looks(workers, done, tasks):
        if count > 0 and not first:
            first, first_at = count, now
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
    with databases(arguments) as (broker, backend):
        enqueue(arguments.tasks)
        before = done(broker, backend)
        with running(commands, folder) as workers:
            startup, per_second = drain(workers, lambda: done(broker, backend) - before, arguments.tasks)
            return {"drain_per_s": per_second, "lat_p50_ms": latency(), "startup_ms": startup,
                    "pss_mib": machine.pss_mib(workers)}


def run(name, body):
    machine.run(name, lambda: print(json.dumps(body())))
