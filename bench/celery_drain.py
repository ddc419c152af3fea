"""The no-op task on real Celery: the row that stands beside lovage-bench in docs/benchmarks.md.

    python3 bench/celery_drain.py --broker redis://127.0.0.1:6379/0 --backend redis://127.0.0.1:6379/1

Loads a queue with --tasks no-op tasks, starts a worker (prefork) and times it from its first finished task to
the last one; then the latency of send -> result. Prints one JSON object. Needs the package "celery[redis]";
exit code 2 says what is missing.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

try:
    import celery
    import redis
except ImportError as missing:
    sys.stderr.write("celery_drain: %s: pip install 'celery[redis]'\n" % missing)
    sys.exit(2)

QUEUE = "celery_bench"
BROKER = os.environ.get("BENCH_BROKER", "")
BACKEND = os.environ.get("BENCH_BACKEND", "")

app = celery.Celery("celery_drain", broker=BROKER, backend=BACKEND)
app.conf.update(
    task_default_queue=QUEUE,
    result_expires=600,
    task_acks_late=True,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=False,
)


@app.task(name="bench.noop")
def noop():
    return None


def stored(results):
    return sum(1 for _ in results.scan_iter("celery-task-meta-*", count=10_000))


def start_worker(arguments):
    command = [sys.executable, "-m", "celery", "-A", "celery_drain", "worker", "-Q", QUEUE, "-P", "prefork"]
    command += ["-c", str(arguments.concurrency), "-l", "ERROR", "--without-gossip", "--without-mingle"]
    environment = dict(os.environ, BENCH_BROKER=arguments.broker, BENCH_BACKEND=arguments.backend)
    folder = os.path.dirname(os.path.abspath(__file__))
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)


def drain(queue, results, tasks):
    """Tasks per second, by the results stored between two looks: the first after the first result, the last
    when all are there."""
    before = stored(results)
    first = 0
    while not first:
        time.sleep(0.01)
        first = results.dbsize() - before
    start = time.monotonic()
    while queue.llen(QUEUE) or results.dbsize() - before < tasks:
        time.sleep(0.02)
        if time.monotonic() - start > 300:
            raise SystemExit("celery_drain: the worker does not drain the queue")
    return (tasks - first) / (time.monotonic() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--broker", required=True)
    parser.add_argument("--backend", required=True)
    parser.add_argument("--tasks", type=int, default=5_000)
    parser.add_argument("--concurrency", type=int, default=2)
    arguments = parser.parse_args()
    app.conf.update(broker_url=arguments.broker, result_backend=arguments.backend)
    queue = redis.Redis.from_url(arguments.broker)
    results = redis.Redis.from_url(arguments.backend)
    try:
        queue.delete(QUEUE)
    except redis.ConnectionError as unreachable:
        sys.stderr.write("celery_drain: %s\n" % unreachable)
        sys.exit(2)
    results.delete(*results.scan_iter("celery-task-meta-*", count=10_000), "celery_bench:nothing")
    with app.producer_pool.acquire(block=True) as producer:
        for _ in range(arguments.tasks):
            noop.apply_async(producer=producer)
    worker = start_worker(arguments)
    try:
        per_second = drain(queue, results, arguments.tasks)
        times = []
        for _ in range(300):
            start = time.perf_counter()
            noop.delay().get(timeout=30)
            times.append((time.perf_counter() - start) * 1000)
    finally:
        worker.terminate()
        worker.wait()
    figures = {"celery": celery.__version__, "drain_per_s": per_second, "lat_p50_ms": statistics.median(times)}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
