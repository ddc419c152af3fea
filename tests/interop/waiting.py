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
        confirm(consumer)
        look(consumer, result, **options)

    ResultConsumer.on_wait_for_pending = confirm_and_look


def confirm(consumer):
    """Asks the server. What has been published is left to Celery: it waits a second for each result of which it has read
    before it was asked for it."""
    deadline = time.monotonic() + CONFIRMED_SECONDS
    channels = list(consumer.subscribed_to)
    while channels and time.monotonic() < deadline:
        channels = [channel for channel, count in consumer.backend.client.pubsub_numsub(*channels) if count == 0]
    if channels:
        raise TimeoutError(f"the server knows nothing of {len(channels)} subscriptions")
