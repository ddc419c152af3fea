"""Sends every interop scenario with real Celery and checks what comes back, whoever runs the tasks.

Usage: scenarios.py [--types 5.6|5.2] [--folder DIR]; prints one JSON object a line:
{"scenario", "ok", "detail"}. Environment as in pyapp.py.
"""

import argparse
import datetime
import decimal
import json
import os
import sys
import time
import traceback
import uuid

from celery.exceptions import TimeoutError as CeleryTimeout

import pyapp
import waiting

WAIT = 30  # seconds until a result is missed
SCENARIOS = {}


def scenario(function):
    SCENARIOS[function.__name__] = function
    return function


def expect(got, wanted, what="result"):
    if got != wanted:
        raise AssertionError(f"{what} is {got!r}, not {wanted!r}")


def wait_for_lines(path, count):
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                lines = file.read().splitlines()
            if len(lines) >= count:
                return lines
        time.sleep(0.02)
    raise AssertionError(f"{path} did not get {count} line(s) in {WAIT} s")


def signature(name, *args, **kwargs):
    return pyapp.app.signature(f"interop.{name}", args=args, kwargs=kwargs)


@scenario
def plain(_):
    expect(signature("add", 2, 3).delay().get(timeout=WAIT), 5)


@scenario
def kwargs(_):
    expect(signature("add", x=4, y=5).delay().get(timeout=WAIT), 9)


@scenario
def eta(_):
    due = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=1.5)
    ran = signature("clock").apply_async(eta=due).get(timeout=WAIT)
    if ran < due.timestamp() - 0.05:
        raise AssertionError(f"ran {due.timestamp() - ran:.3f} s before its eta")


@scenario
def countdown(_):
    sent = time.time()
    ran = signature("clock").apply_async(countdown=1).get(timeout=WAIT)
    if ran < sent + 0.95:
        raise AssertionError(f"ran {ran - sent:.3f} s after it was sent, not after 1 s")


@scenario
def expires(_):
    past = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=5)
    result = signature("add", 1, 1).apply_async(expires=past)
    try:
        value = result.get(timeout=WAIT)
    except CeleryTimeout:
        raise AssertionError("no state was stored") from None
    except Exception as error:  # TaskRevokedError of either version
        expect(type(error).__name__, "TaskRevokedError", "exception")
        expect(result.state, "REVOKED", "state")
        expect(error.args, ("expired",), "arguments")
    else:
        raise AssertionError(f"an expired task ran and returned {value!r}")
    future = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=60)
    expect(signature("add", 1, 2).apply_async(expires=future).get(timeout=WAIT), 3)


@scenario
def priority(_):
    for number in (0, 3, 6, 9):
        expect(signature("add", number, 1).apply_async(priority=number).get(timeout=WAIT), number + 1)


@scenario
def link(folder):
    path = os.path.join(folder, f"link-{uuid.uuid4()}")
    result = signature("add", 2, 2).apply_async(link=[signature("append", path), signature("append", path)])
    expect(result.get(timeout=WAIT), 4)
    expect(wait_for_lines(path, 2), ["4", "4"], "what the callbacks wrote")


@scenario
def link_immutable(folder):
    path = os.path.join(folder, f"link-{uuid.uuid4()}")
    callback = signature("append", "fixed", path)
    callback.immutable = True
    signature("add", 2, 2).apply_async(link=callback).get(timeout=WAIT)
    expect(wait_for_lines(path, 1), ["fixed"], "what the callback wrote")


@scenario
def link_error(folder):
    path = os.path.join(folder, f"error-{uuid.uuid4()}")
    result = signature("fail", "linked").apply_async(link_error=signature("failed", path))
    try:
        result.get(timeout=WAIT)
    except ValueError:
        pass
    expect(wait_for_lines(path, 1), [result.id], "what the errback wrote")


@scenario
def retry(_):
    expect(signature("flaky", 2).delay().get(timeout=WAIT), 2)


@scenario
def retries_exhausted(_):
    result = signature("exhausted").delay()
    try:
        result.get(timeout=WAIT)
    except ValueError as error:
        expect(error.args, ("still broken",), "arguments")
    else:
        raise AssertionError("it succeeded")
    expect(result.state, "FAILURE", "state")


@scenario
def failure(_):
    result = signature("fail", "boom \u00e9").delay()
    try:
        result.get(timeout=WAIT)
    except ValueError as error:
        expect(error.args, ("boom \u00e9",), "arguments")
    else:
        raise AssertionError("it succeeded")
    expect(result.state, "FAILURE", "state")
    if "ValueError" not in (result.traceback or ""):
        raise AssertionError(f"no traceback: {result.traceback!r}")


@scenario
def wrong_arguments(_):
    result = pyapp.app.send_task("interop.add", args=(1,))  # by name: the client does not check
    try:
        result.get(timeout=WAIT)
    except TypeError:
        return
    raise AssertionError("it succeeded")


@scenario
def custom_state(folder):
    path = os.path.join(folder, f"go-{uuid.uuid4()}")
    result = signature("progress", path).delay()
    deadline = time.monotonic() + WAIT
    while result.state != "PROGRESS":
        if time.monotonic() > deadline:
            raise AssertionError(f"state is {result.state}, not PROGRESS")
        time.sleep(0.02)
    expect(result.info, {"done": 5, "total": 10}, "meta")
    with open(path, "w", encoding="utf-8"):
        pass
    expect(result.get(timeout=WAIT), "done")


@scenario
def unicode(_):
    text = "na\u00efve \u4f60\u597d \U0001f600 \"quoted\" \\ \u2028 \x00 end"
    expect(signature("echo", text).delay().get(timeout=WAIT), text)


@scenario
def numbers(_):
    for value in (0, -1, 2**31, -(2**63), 2**63 - 1, 10**30, 1.5, -0.1, 1e300, True, None, float("inf")):
        expect(signature("echo", value).delay().get(timeout=WAIT), value)


@scenario
def containers(_):
    value = {"list": [1, [2, {"three": None}]], "empty": {}, "text": "x"}
    expect(signature("echo", value).delay().get(timeout=WAIT), value)


def echo_typed(value, old_form):
    """With 5.2's JSON a value travels as `old_form`; with 5.6's it comes back as itself."""
    wanted = value if ARGUMENTS.types == "5.6" else old_form
    expect(signature("echo", value).delay().get(timeout=WAIT), wanted)


@scenario
def bytes_value(_):
    if ARGUMENTS.types == "5.2":
        try:
            signature("echo", b"abc").delay()
        except Exception as error:  # kombu's EncodeError
            expect(type(error).__name__, "EncodeError", "exception")
            return
        raise AssertionError("bytes were sent")
    echo_typed(b"abc", None)
    echo_typed(b"\xff\x00\xfe", None)


@scenario
def datetime_value(_):
    naive = datetime.datetime(2024, 1, 2, 3, 4, 5, 678900)
    aware = datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    echo_typed(naive, "2024-01-02T03:04:05.678900")
    echo_typed(aware, "2024-01-02T03:04:05Z")
    echo_typed(datetime.date(2024, 1, 2), "2024-01-02T00:00:00")
    echo_typed(datetime.time(3, 4, 5, 6), "03:04:05.000006")


@scenario
def decimal_value(_):
    echo_typed(decimal.Decimal("1.500"), "1.500")


@scenario
def uuid_value(_):
    value = uuid.UUID("12345678-1234-5678-1234-567812345678")
    echo_typed(value, str(value))


@scenario
def compressed_zlib(_):
    expect(signature("echo", "z" * 20000).apply_async(compression="zlib").get(timeout=WAIT), "z" * 20000)


@scenario
def compressed_zstd(_):
    expect(signature("echo", "s" * 20000).apply_async(compression="zstd").get(timeout=WAIT), "s" * 20000)


@scenario
def compressed_bzip2(_):
    expect(signature("echo", "b" * 20000).apply_async(compression="bzip2").get(timeout=WAIT), "b" * 20000)


@scenario
def msgpack(_):
    value = {"bytes": b"\xff\x00", "n": [1, 2.5, None]}
    result = pyapp.app.send_task("interop.echo", args=([1, "two", None],), serializer="msgpack")
    expect(result.get(timeout=WAIT), [1, "two", None])
    result = pyapp.app.send_task("interop.type_name", args=(value["bytes"],), serializer="msgpack")
    expect(result.get(timeout=WAIT), "bytes")


@scenario
def ignore_result(folder):
    path = os.path.join(folder, f"ignored-{uuid.uuid4()}")
    result = pyapp.app.send_task("interop.silent", args=(path,), ignore_result=True)
    wait_for_lines(path, 1)
    expect(signature("add", 1, 1).delay().get(timeout=WAIT), 2)  # the same worker has settled since
    expect(pyapp.app.AsyncResult(result.id).state, "PENDING", "state")


@scenario
def queue_routing(_):
    expect(signature("add", 20, 3).apply_async(queue="interop_other").get(timeout=WAIT), 23)


@scenario
def large(_):
    text = "x" * 3_000_000
    expect(signature("echo", text).delay().get(timeout=WAIT), text)


@scenario
def many(_):
    results = [signature("add", number, 1).delay() for number in range(300)]
    expect([result.get(timeout=WAIT) for result in results], list(range(1, 301)))


def run(name, folder):
    try:
        SCENARIOS[name](folder)
    except BaseException as error:  # the report is the point
        detail = f"{type(error).__name__}: {error}"
        if not isinstance(error, AssertionError):
            detail += "\n" + traceback.format_exc()
        return {"scenario": name, "ok": False, "detail": detail}
    return {"scenario": name, "ok": True, "detail": ""}


def main():
    waiting.confirm_subscriptions()
    failures = 0
    for name in ARGUMENTS.only or SCENARIOS:
        outcome = run(name, ARGUMENTS.folder)
        failures += not outcome["ok"]
        print(json.dumps(outcome), flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--types", choices=["5.6", "5.2"], default="5.6")
    parser.add_argument("--folder", required=True)
    parser.add_argument("--only", nargs="*", default=[])
    ARGUMENTS = parser.parse_args()
    sys.exit(main())
