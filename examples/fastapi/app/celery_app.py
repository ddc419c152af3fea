"""The Celery app, as any project has it. One line is about C++: tasks whose names begin with "cpu." go to the queue that
the C++ worker serves."""

import os

from celery import Celery

redis = os.environ.get("REDIS_URL", "redis://localhost:6379")
app = Celery("service", broker=f"{redis}/0", backend=f"{redis}/1", include=["app.tasks"])
app.conf.update(
    task_routes={"cpu.*": {"queue": "cpu"}},
    task_track_started=True,
    result_expires=3600,
)

# The tasks of the C++ worker: known by name, as those of any other service.
count_primes = app.signature("cpu.count_primes")
closest = app.signature("cpu.closest")
