"""Mends how Celery's Redis client waits, for clients whose waiting is a test.

It subscribes to a result on one connection, looks at it on another, and awaits no confirmation in between. A busy
machine delivers the two to the server in the other order now and then (one in a thousand, measured with six other busy
processes on two cores). A result that is published in between is then never heard of, and the wait ends with its
timeout, whoever ran the task.
"""

import time

from celery.backends.redis import ResultConsumer

CONFIRMED_SECONDS = 10


def confirm_subscriptions():
    """From now on this process looks only once the server has read what it has subscribed to."""
    look = ResultConsumer.on_wait_for_pending

    def confirm_and_look(consumer, result, **options):
        if consumer._pubsub is not None and consumer._pubsub.subscribed:
            confirm(consumer)
        look(consumer, result, **options)

    ResultConsumer.on_wait_for_pending = confirm_and_look


def confirm(consumer):
    consumer._pubsub.ping()
    deadline = time.monotonic() + CONFIRMED_SECONDS
    while time.monotonic() < deadline:
        if not consumer._pubsub.subscribed:  # the last subscription ended meanwhile: nothing more is read
            return
        message = consumer._pubsub.get_message(timeout=1)
        kind = message["type"] if message else None
        if kind == "pong":
            return
        if kind == "message":
            consumer.on_state_change(consumer._decode_result(message["data"]), message)
    raise TimeoutError("the server does not answer a PING behind its subscriptions")
