"""A Redis that forgets: bindings deleted under load heal and fail no send; an evicting policy is warned of."""

import threading

from pains import LONG, Scene, check, run, until

BINDING = "_kombu.binding.celery"


def bindings_heal():
    calls = 100_000 if LONG else 500
    with Scene() as scene:
        scene.worker("worker", "-c", "2", "-P", "threads", settings=["result_expires=60"], quiet=True)
        redis = scene.server.client()
        check(redis.exists(BINDING), "the worker has made its queue's binding")
        over = threading.Event()
        deleted = 0

        def delete():
            nonlocal deleted
            while not over.wait(0.005):
                deleted += redis.delete(BINDING)

        deleting = threading.Thread(target=delete)
        deleting.start()
        scene.client("calls", calls, 20)  # ends with an error at the first send that fails
        over.set()
        deleting.join()
        print(f"{calls} sends, 0 failed; bindings deleted {deleted} times", flush=True)
        scene.audit()
        redis.delete(BINDING)
        scene.client("calls", 10, 1)
        healed = until(lambda: redis.exists(BINDING), "the binding's return")
        print(f"the binding is back {healed:.2f} s after a new producer's sends", flush=True)


def eviction_is_warned_of():
    with Scene("redis", "--maxmemory-policy", "allkeys-lru") as scene:
        worker = scene.worker("worker", "-c", "1")
        warning = "MESSAGES CAN BE LOST: maxmemory-policy is allkeys-lru"
        until(lambda: warning in worker.log(), "the warning", 10)


if __name__ == "__main__":
    run(bindings_heal, eviction_is_warned_of)
