"""Workflows that real Celery starts, whose steps run in Lovage workers alone or alternate between both.

Usage: canvas_scenarios.py --placement cpp|cpp-py|py-cpp --folder DIR

Prints one JSON line a scenario. The names are those of Celery's own integration tests where the case is theirs.
"""

import argparse
import datetime
import itertools
import json
import os
import time
import traceback
import uuid

from celery import chain, chord, group
from celery.exceptions import ChordError, TimeoutError as WaitTimeout
from celery.result import GroupResult

import pyapp
import waiting
from pyapp import app

WAIT = 20
QUEUES = {"cpp": "canvas_cpp", "py": "canvas_py"}
SCENARIOS = {}
# A client may look at the header first and raise what is there.
CHORD_FAILS = ("ChordError", "ValueError")


class Steps:
    """Signatures whose queues follow the placement in turn."""

    def __init__(self, placement, folder):
        self.queues = itertools.cycle([QUEUES[name] for name in placement.split("-")])
        self.folder = folder

    def s(self, name, *args, **kwargs):
        return app.signature("interop." + name, args=args, kwargs=kwargs, queue=next(self.queues))

    def si(self, name, *args, **kwargs):
        return app.signature("interop." + name, args=args, kwargs=kwargs, queue=next(self.queues), immutable=True)

    @staticmethod
    def at(side, name, *args):
        return app.signature("interop." + name, args=args, queue=QUEUES[side])

    def path(self):
        return os.path.join(self.folder, str(uuid.uuid4()))


def scenario(function):
    SCENARIOS[function.__name__] = function
    return function


def expect(found, wanted, what="result"):
    if found != wanted:
        raise AssertionError(f"{what}: {found!r}, not {wanted!r}")


def expect_failure(result, kinds, *words):
    try:
        found = result.get(timeout=WAIT)
    except WaitTimeout:
        raise AssertionError("nothing came in time") from None
    except Exception as error:  # the kind is looked at
        text = f"{type(error).__name__}: {error}"
        if type(error).__name__ not in kinds or any(word not in text for word in words):
            raise AssertionError(f"{text}, not {kinds} with {words}") from None
        return
    raise AssertionError(f"{found!r}, not {kinds}")


def lines_of(path, count):
    deadline = time.monotonic() + WAIT
    while True:
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                lines = file.read().splitlines()
            if len(lines) >= count:
                return lines
        if time.monotonic() > deadline:
            raise AssertionError(f"{path} has fewer than {count} lines")
        time.sleep(0.02)


# --- Chains ---------------------------------------------------------------------------------------------


@scenario
def simple_chain(t):
    expect((t.s("add", 4, 4) | t.s("add", 8) | t.s("add", 16))().get(timeout=WAIT), 32)


@scenario
def single_chain(t):
    expect(chain(t.s("add", 3, 4))().get(timeout=WAIT), 7)


@scenario
def complex_chain(t):
    after = group(t.s("add", i) for i in range(4))
    inner = t.s("add", 4) | t.s("add", 8) | t.s("add", 16) | t.s("add", 32)
    expect((t.s("add", 2, 2) | inner | after)().get(timeout=WAIT), [64, 65, 66, 67])


@scenario
def chain_of_chain_with_a_single_task(t):
    expect(chain([chain(t.s("echo", 42))]).apply_async().get(timeout=WAIT), 42)


@scenario
def chain_inside_group_receives_arguments(t):
    flow = t.s("add", 5, 6) | group((t.s("add", 1) | t.s("add", 2), t.s("add", 3)))
    expect(flow().get(timeout=WAIT), [14, 14])


@scenario
def chain_on_error(t):
    result = chain(t.s("add", 1, 2), t.s("fail_with", "boom"), t.s("add", 4))()
    expect_failure(result, ("ValueError",), "boom")
    expect_failure(result.parent, ("ValueError",), "boom")


@scenario
def chain_error_handler_with_eta(t):
    path = t.path()
    flow = chain(t.s("add", 2, 3), t.s("fail_with", "late"), t.s("echo"))
    result = flow.apply_async(countdown=1, link_error=t.s("failed", path))
    expect_failure(result, ("ValueError",), "late")
    expect(lines_of(path, 1), [result.parent.id], "what the errback was told")


@scenario
def group_chord_group_chain(t):
    path = t.path()
    before = group(t.si("append", f"before {i}", path) for i in range(3))
    after = group(t.si("append", f"after {i}", path) for i in range(2))
    (before | t.si("append", "connect", path) | after).delay().get(timeout=WAIT)
    lines = lines_of(path, 6)
    expect(set(lines[:3]), {"before 0", "before 1", "before 2"}, "first")
    expect(lines[3], "connect", "then")
    expect(set(lines[4:]), {"after 0", "after 1"}, "last")


@scenario
def parent_ids(t):
    flow = t.si("ids", 1) | t.si("ids", 2) | group(t.si("ids", i) for i in range(3, 8))
    result = flow()
    root, parent = result.parent.parent.id, result.parent.id
    for i, (found_root, found_parent, value) in enumerate(result.get(timeout=WAIT)):
        expect((found_root, found_parent, value), (root, parent, i + 3), "ids")


@scenario
def group_in_center_of_chain(t):
    flow = chain(t.s("total", [2, 3]), group(t.s("echo"), t.s("echo")), t.s("total"))
    expect(flow().get(timeout=WAIT), 10)


@scenario
def chain_of_chords(t):
    flow = chain(
        group(t.s("add", 1, 1), t.s("add", 2, 2)),
        t.s("total"),
        group(t.s("add", 10), t.s("add", 20)),
        t.s("total"),
        t.s("add", 1000),
    )
    expect(flow().get(timeout=WAIT), 1042)


@scenario
def chain_of_four_chords(t):  # of nine, Celery 5.2 makes messages of many megabytes
    flow = chain(group(t.s("add", 1, 1), t.s("add", 1, 1)), t.s("total"))
    for _ in range(3):
        flow |= chain(group(t.s("add", 0), t.s("add", 0)), t.s("total"))
    expect(flow().get(timeout=WAIT), 4 * 2**3)


@scenario
def chain_children_with_callbacks(t):
    path = t.path()
    callback = t.si("append", "called", path)
    steps = [t.si("add", 1, i) for i in range(4)]
    for step in steps:
        step.link(callback)
    chain(steps)().get(timeout=WAIT)
    expect(lines_of(path, 4), ["called"] * 4, "calls")


# --- Groups ---------------------------------------------------------------------------------------------


@scenario
def group_lone(t):
    expect(group(t.s("echo", 42), t.s("echo", 43)).delay().get(timeout=WAIT), [42, 43])


@scenario
def large_group(t):
    expect(group(t.s("echo", i) for i in range(300)).delay().get(timeout=WAIT), list(range(300)))


@scenario
def nested_group(t):
    flow = group(t.si("add", 1, 10), group(t.si("add", 1, 100), group(t.si("add", 1, 1000), t.si("add", 1, 2000))))
    expect(flow().get(timeout=WAIT), [11, 101, 1001, 2001])


@scenario
def group_result_is_restored(t):
    result = group(t.s("add", i, i) for i in range(3)).apply_async()
    result.save()
    expect(result.get(timeout=WAIT), [0, 2, 4])
    restored = GroupResult.restore(result.id, app=app)  # its get() finds nothing, with Celery's own workers neither
    expect([each.id for each in restored.results], [each.id for each in result.results])
    expect([each.result for each in restored.results], [0, 2, 4])


@scenario
def errback_called_by_group(t):
    path = t.path()
    flow = group(t.s("echo", 1), t.s("fail", "boom"))
    flow.link_error(t.s("failed", path))
    result = flow.delay()
    expect_failure(result, ("ValueError",), "boom")
    expect(lines_of(path, 1), [result.children[1].id], "what the errback was told")


# --- Chords ---------------------------------------------------------------------------------------------


@scenario
def simple_chord(t):
    expect(chord([t.s("add", i, i) for i in range(5)], t.s("total"))().get(timeout=WAIT), 20)


@scenario
def chord_order(t):
    expect(chord([t.s("echo", i) for i in range(20)], t.s("echo"))().get(timeout=WAIT), list(range(20)))


@scenario
def single_task_header(t):
    expect(chord([t.s("add", 2, 5)], t.s("echo"))().get(timeout=WAIT), [7])


@scenario
def empty_header_chord(t):
    expect(chord([], t.s("echo"))().get(timeout=WAIT), [])


@scenario
def nested_chord(t):
    inner = chord([t.s("add", 1, 1), t.s("add", 2, 2)], t.s("total"))
    expect(chord([inner, t.s("add", 10, 10)], t.s("total"))().get(timeout=WAIT), 26)


@scenario
def chord_in_chords_with_chains(t):
    inner = chord(
        [chain(t.si("echo", 1), t.si("echo", 2)), chain(t.si("echo", 3), t.si("echo", 4))],
        chain(t.s("total"), t.s("add", 100)),
    )
    flow = chord([inner, chain(t.si("echo", 5), t.s("add", 6))], t.s("total"))
    expect(flow().get(timeout=WAIT), 117)


@scenario
def chain_chord_chain_chord(t):
    flow = chain(
        t.si("echo", 7),
        chord([chain(t.s("add", 1), t.s("add", 2)), t.s("add", 3)], chain(t.s("total"), t.s("echo"))),
        chord([t.s("add", 4), t.s("add", 5)], t.s("total")),
    )
    expect(flow().get(timeout=WAIT), 49)


@scenario
def chord_that_is_followed(t):
    """One side begins the chord, the other ends its header: what it was told of what follows has to be enough."""
    bodies = {
        "task": lambda side: t.at(side, "total"),
        "chain": lambda side: chain(t.at(side, "total"), t.at(side, "echo")),
        "chord": lambda side: chord([t.at(side, "total"), t.at(side, "total")], t.at(side, "total")),
    }
    for first, other in ("py", "cpp"), ("cpp", "py"):
        for (name, body), wanted in zip(bodies.items(), (26, 26, 39)):
            header = [t.at(other, "add", 1), t.at(other, "add", 2)]
            flow = chain(t.at(first, "echo", 5), chord(header, body(first)), t.at(other, "add", 13))
            expect(flow().get(timeout=WAIT), wanted, f"{name} begun by {first}")
            flow = chain(t.at(first, "echo", 5), chord(header, body(other)), chord([t.at(first, "add", 13)], t.at(other, "total")))
            expect(flow().get(timeout=WAIT), wanted, f"{name} begun by {first}, then a chord")


@scenario
def chord_in_chain_with_args(t):
    expect(chain(t.s("echo", 3), chord([t.s("add", 1), t.s("add", 2)], t.s("total")))().get(timeout=WAIT), 9)


@scenario
def chord_header_chain(t):
    expect(chord([chain(t.s("add", 1, 1), t.s("add", 10)), t.s("add", 5, 5)], t.s("echo"))().get(timeout=WAIT), [12, 10])


@scenario
def chord_body_chain(t):
    body = chain(t.s("total"), t.s("add", 1), t.s("add", 2))
    expect(chord([t.s("add", 1, 1), t.s("add", 2, 2)], body)().get(timeout=WAIT), 9)


@scenario
def chord_body_group(t):
    body = group(t.s("total"), t.s("echo"))
    expect(chord([t.s("add", 1, 1), t.s("add", 2, 2)], body)().get(timeout=WAIT), [6, [2, 4]])


@scenario
def large_header(t):
    expect(chord([t.s("echo", i) for i in range(300)], t.s("total"))().get(timeout=WAIT), sum(range(300)))


@scenario
def parallel_chords(t):
    flow = group(*[chord([t.s("add", i, 1), t.s("add", i, 2)], t.s("total")) for i in range(3)])
    expect(flow.delay().get(timeout=WAIT), [3, 5, 7])


@scenario
def error_propagates_to_chord_from_simple(t):
    result = chord([t.s("add", 1, 1), t.s("fail", "boom")], t.s("total"))()
    expect_failure(result, CHORD_FAILS, "boom")


@scenario
def error_propagates_to_chord_from_chain(t):
    result = chord([chain(t.s("fail", "boom"), t.s("echo")), t.s("add", 1, 1)], t.s("total"))()
    expect_failure(result, CHORD_FAILS, "boom")


@scenario
def error_propagates_to_chord_from_chain_tail(t):
    result = chord([chain(t.s("echo", 1), t.s("fail_with", "boom")), t.s("add", 1, 1)], t.s("total"))()
    expect_failure(result, CHORD_FAILS, "boom")


@scenario
def errback_called_by_chord_from_simple(t):
    path = t.path()
    result = chord([t.s("add", 1, 1), t.s("fail", "boom")], t.s("total").on_error(t.s("failed", path)))()
    expect_failure(result, CHORD_FAILS)
    expect(lines_of(path, 1), [result.id], "what the errback was told")


@scenario
def chord_header_with_retries(t):
    expect(chord([t.s("flaky", 2), t.s("add", 1, 1)], t.s("total"))().get(timeout=WAIT), 4)


@scenario
def chord_of_ignored_results(t):
    header = [t.s("add", 1, i).set(ignore_result=True) for i in range(3)]
    expect(chord(header, t.s("total"))().get(timeout=WAIT), 6)


@scenario
def chord_with_an_expired_part(t):
    late = t.s("add", 1, 1).set(expires=datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=1))
    expect_failure(chord([t.s("add", 1, 1), late], t.s("total"))(), ("ChordError", "TaskRevokedError"))


# --- Replaced and added ---------------------------------------------------------------------------------


@scenario
def task_replaced_with_chain(t):
    expect(t.s("replace_with", dict(chain(t.si("echo", 20), t.s("add", 22)))).delay().get(timeout=WAIT), 42)


@scenario
def chain_child_replaced_with_chain(t):
    flow = chain(t.si("echo", 1), t.si("replace_with", dict(chain(t.si("echo", 40), t.s("add", 1)))), t.s("add", 1))
    expect(flow().get(timeout=WAIT), 42)


@scenario
def chord_header_task_replaced_with_chain(t):
    flow = chord(
        [t.si("replace_with", dict(chain(t.si("echo", 40), t.s("add", 1)))), t.si("echo", 1)], t.s("total")
    )
    expect(flow().get(timeout=WAIT), 42)


@scenario
def task_replaced_with_group(t):
    expect(t.s("replace_with", dict(group(t.si("echo", i) for i in range(3)))).delay().get(timeout=WAIT), [0, 1, 2])


@scenario
def replaced_keeps_its_callbacks(t):
    path = t.path()
    call = t.s("replace_with", dict(t.si("echo", "there")))
    call.link(t.s("append", path))
    expect(call.delay().get(timeout=WAIT), "there")
    expect(lines_of(path, 1), ["there"], "the callback's argument")


@scenario
def add_to_chord(t):
    flow = chord([t.s("add_to_chord", dict(t.si("echo", 100))), t.si("echo", 10)], t.s("total"))
    expect(flow().get(timeout=WAIT), 111)


# --- Map, starmap, chunks -------------------------------------------------------------------------------


@scenario
def maps(t):
    sums = pyapp.total.map([[1, 2], [3, 4]]).apply_async(queue=next(t.queues))
    expect(sums.get(timeout=WAIT), [3, 7])


@scenario
def starmaps(t):
    sums = pyapp.add.starmap([(1, 2), (3, 4)]).apply_async(queue=next(t.queues))
    expect(sums.get(timeout=WAIT), [3, 7])


@scenario
def chunks(t):
    flow = pyapp.add.chunks([(i, i) for i in range(10)], 4).group()
    for task in flow.tasks:
        task.set(queue=next(t.queues))
    expect(flow.delay().get(timeout=WAIT), [[0, 2, 4, 6], [8, 10, 12, 14], [16, 18]])


def main():
    waiting.confirm_subscriptions()
    parser = argparse.ArgumentParser()
    parser.add_argument("--placement", required=True)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    failed = 0
    for name, run in SCENARIOS.items():
        if options.only not in name:
            continue
        detail = ""
        try:
            run(Steps(options.placement, options.folder))
        except Exception as error:  # every scenario is heard
            detail = f"{type(error).__name__}: {error}"
            if not isinstance(error, (AssertionError, ChordError)):
                detail += "\n" + traceback.format_exc()
        failed += bool(detail)
        print(json.dumps({"scenario": name, "ok": not detail, "detail": detail}), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
