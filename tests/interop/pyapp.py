"""The interop tests' tasks in Python: the same names and behaviour as in interop_app.cpp.

Environment: INTEROP_BROKER, INTEROP_BACKEND, INTEROP_TRANSPORT_OPTIONS and INTEROP_RESULT_OPTIONS (JSON, optional).
"""

import json
import os
import time

from celery import Celery

app = Celery("interop", broker=os.environ["INTEROP_BROKER"], backend=os.environ["INTEROP_BACKEND"])
app.conf.update(
    accept_content=["json", "msgpack"],
    result_accept_content=["json", "msgpack"],
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=1,
    task_default_queue="interop",
    broker_transport_options=json.loads(os.environ.get("INTEROP_TRANSPORT_OPTIONS", "{}")),
    result_backend_transport_options=json.loads(os.environ.get("INTEROP_RESULT_OPTIONS", "{}")),
)


def append_line(path, text):
    with open(path, "a", encoding="utf-8") as file:
        file.write(text + "\n")


@app.task(name="interop.add")
def add(x, y):
    return x + y


@app.task(name="interop.echo")
def echo(value):
    return value


@app.task(name="interop.type_name")
def type_name(value):
    return type(value).__name__


@app.task(name="interop.fail")
def fail(message):
    raise ValueError(message)


@app.task(name="interop.flaky", bind=True, max_retries=5)
def flaky(self, times):
    if self.request.retries < times:
        raise self.retry(countdown=0.2)
    return self.request.retries


@app.task(name="interop.exhausted", bind=True, max_retries=1)
def exhausted(self):
    raise self.retry(countdown=0.1, exc=ValueError("still broken"))


@app.task(name="interop.progress", bind=True)
def progress(self, path):
    self.update_state(state="PROGRESS", meta={"done": 5, "total": 10})
    deadline = time.monotonic() + 20
    while not os.path.exists(path) and time.monotonic() < deadline:
        time.sleep(0.02)
    return "done"


@app.task(name="interop.append")
def append(value, path):
    append_line(path, str(value))
    return value


@app.task(name="interop.failed", bind=True)
def failed(self, task_id, path):
    append_line(path, task_id)


@app.task(name="interop.total")
def total(numbers):
    return sum(numbers)


@app.task(name="interop.fail_with")
def fail_with(value, message):
    raise ValueError(message)


@app.task(name="interop.ids", bind=True)
def ids(self, number):
    return [self.request.root_id, self.request.parent_id, number]


@app.task(name="interop.replace_with", bind=True)
def replace_with(self, signature):
    return self.replace(app.signature(signature))


@app.task(name="interop.add_to_chord", bind=True)
def add_to_chord(self, signature):
    self.add_to_chord(app.signature(signature))
    return 1


@app.task(name="interop.clock")
def clock():
    return time.time()


@app.task(name="interop.whoami")
def whoami():
    time.sleep(0.005)
    return "py"


@app.task(name="interop.hold", acks_late=True)
def hold(path):
    append_line(path, "py")
    time.sleep(600)


@app.task(name="interop.silent", ignore_result=True)
def silent(path):
    append_line(path, "ran")
    return "nobody reads this"
