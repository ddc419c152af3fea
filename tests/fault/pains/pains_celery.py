"""The same task in Python, for the Python workers of a mixed cluster."""

import os
import threading
import time

from celery import Celery
from celery.signals import worker_ready

app = Celery("pains", broker=os.environ["CELERY_BROKER_URL"], backend=os.environ["CELERY_RESULT_BACKEND"])
app.conf.update(
    broker_connection_retry_on_startup=True,
    worker_prefetch_multiplier=1,
    task_acks_late=os.environ.get("PAINS_ACKS_LATE", "1") == "1",
    task_reject_on_worker_lost=True,
    broker_transport_options={
        "visibility_timeout": float(os.environ.get("PAINS_VISIBILITY_TIMEOUT", "3600")),
    },
)


@worker_ready.connect
def restore_each_second(**_):
    """Kombu's own look for overdue messages, which the versions before 5.6 take each 100 s alone."""

    def look():
        with app.connection_for_write() as connection:
            while True:
                connection.default_channel.qos.restore_visible(interval=1)
                time.sleep(1)

    threading.Thread(target=look, daemon=True).start()


@app.task(name="pains.mark")
def mark(number, path, milliseconds):
    with open(path, "a", encoding="utf-8") as file:
        file.write(f"{number}\n")
    with open(path + ".python", "a", encoding="utf-8") as file:
        file.write(f"{number}\n")
    time.sleep(milliseconds / 1000)
    return number


@app.task(name="pains.size")
def size(text):
    return len(text)
