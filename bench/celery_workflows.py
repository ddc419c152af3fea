"""Real Celery's workflows, as bench/compare runs them: what bench/workflows.cpp measures of Lovage, step by step.

    python3 bench/celery_workflows.py --workload chord --tasks 1000 --broker redis://127.0.0.1:6379/2 \\
        --backend redis://127.0.0.1:6379/3

The worker is that of bench/celery_drain.py, idle before; medians of five rounds. Both databases have to be empty.
Prints one JSON object with the names of lovage-bench:

    group_s        a group: from before it is built until all results are stored and all messages acknowledged
    chord_s        a chord: until the result of its body is here; chord_per_group: by the group before it
    chain_step_ms  a chain: until the result of its last step is here, by its steps
    pss_mib        memory of all worker processes afterwards, each counted once
"""

import os
import statistics
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import celery_drain
import machine
import rival

import celery

ROUNDS = 5
WARM_CALLS = 50
PATIENCE_SECONDS = 600
task = celery_drain.task


def tasks(count):
    return [task.si() for _ in range(count)]


def seconds_until_last(begun, result):
    """By default Celery's client asks for every task before the last as well, again and again: not here."""
    result.get(timeout=PATIENCE_SECONDS, follow_parents=False)
    return time.perf_counter() - begun


class Workflows:
    def __init__(self, count, workers, broker, backend):
        self.count, self.workers, self.broker, self.backend = count, workers, broker, backend
        for _ in range(WARM_CALLS):
            celery_drain.call()

    def run_group(self):
        """Seconds until all members are sent, and until they are done."""
        self.settle()  # what a chord counted in the backend is gone as well then
        before = celery_drain.results(self.backend)
        begun = time.perf_counter()
        result = celery.group(tasks(self.count)).delay()
        sent = time.perf_counter() - begun
        self.look(lambda: celery_drain.results(self.backend) - before, self.count)
        self.settle()
        done = time.perf_counter() - begun
        result.get(timeout=PATIENCE_SECONDS)  # the client has heard of each member: the next wait is not to read it
        return sent, done

    def run_chord(self):
        begun = time.perf_counter()
        return seconds_until_last(begun, celery.chord(tasks(self.count), task.si()).delay())

    def run_chain(self):
        begun = time.perf_counter()
        return seconds_until_last(begun, celery.chain(tasks(self.count)).delay())

    def settle(self):
        """Until the worker has acknowledged all that it took."""
        self.look(lambda: self.broker.command("HLEN", "unacked") == 0, 1)

    def look(self, done, count):
        for _ in rival.looks(self.workers, done, count):
            pass


def group_workload(workflows):
    sent, done = (statistics.median(times) for times in zip(*[workflows.run_group() for _ in range(ROUNDS)]))
    return {"group_s": done, "group_sent_per_s": workflows.count / sent, "group_per_s": workflows.count / done}


def chord_workload(workflows):
    rounds = [(workflows.run_group()[1], workflows.run_chord()) for _ in range(ROUNDS)]
    group, chord = (statistics.median(times) for times in zip(*rounds))
    return {"group_s": group, "chord_s": chord, "chord_per_s": workflows.count / chord,
            "chord_per_group": statistics.median(chord / group for group, chord in rounds)}


def chain_workload(workflows):
    chain = statistics.median(workflows.run_chain() for _ in range(ROUNDS))
    return {"chain_s": chain, "chain_step_ms": chain * 1000 / workflows.count}


WORKLOADS = {"group": group_workload, "chord": chord_workload, "chain": chain_workload}


def main():
    arguments = rival.parse(__doc__.splitlines()[0], list(WORKLOADS))
    command = celery_drain.worker(arguments)
    with rival.databases(arguments) as (broker, backend), \
            rival.running([command], celery_drain.FOLDER) as workers:
        figures = WORKLOADS[arguments.workload](Workflows(arguments.tasks, workers, broker, backend))
        return {"version": celery.__version__, **figures, "pss_mib": machine.pss_mib(workers)}


if __name__ == "__main__":
    rival.run("celery_workflows", main)
