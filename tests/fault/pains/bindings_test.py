"""A Redis that forgets: bindings deleted under load heal and fail no send; no worker starts on one that evicts."""

import subprocess
import threading

from pains import LONG, Scene, arguments, check, run, until

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


def eviction_is_refused():
    refusal = "MESSAGES CAN BE LOST: maxmemory-policy is allkeys-lru"
    with Scene("redis", "--maxmemory-policy", "allkeys-lru", "--maxmemory", "20mb") as scene:
        refused = subprocess.run([arguments().app, "worker"], env=scene.environment(), capture_output=True, text=True,
                                 timeout=60, check=False)
        said = refused.stdout + refused.stderr
        print(said.splitlines()[-1], flush=True)
        check(refused.returncode == 2, f"exit code {refused.returncode}")
        for word in (refusal, scene.broker, "CONFIG SET maxmemory-policy noeviction", "allow_eviction"):
            check(word in said, f"{word} is not in: {said}")
        allowed = scene.worker("allowed", "-c", "1", settings=['broker_transport_options={"allow_eviction": true}'])
        until(lambda: refusal in allowed.log(), "the warning", 10)
        scene.server.client().config_set("maxmemory-policy", "volatile-lru")
        results_alone = scene.worker("results", "-c", "1")
        until(lambda: "RESULTS CAN BE LOST" in results_alone.log(), "the warning of results", 10)


if __name__ == "__main__":
    run(bindings_heal, eviction_is_refused)
