"""Large arguments: compressed above a threshold, so that the broker's memory is bounded; refused above a limit with
an error that says which; read by Python's Celery. A result above the limit fails its task, and says so."""

import json

from pains import LONG, WAIT, Scene, check, run, until

LIMIT = "LOVAGE_TASK_MESSAGE_MAX_BYTES"


def used_memory(scene):
    return scene.server.client().info("memory")["used_memory"]


def result(scene, task_id):
    """The stored result of a task, when it is there."""
    client = scene.server.client(1)
    key = f"celery-task-meta-{task_id}"
    until(lambda: client.exists(key), f"a result of {task_id}")
    return json.loads(client.get(key))


def memory_is_bounded():
    count, size = (2_000, 5_000_000) if LONG else (30, 1_000_000)
    with Scene() as scene:
        before = used_memory(scene)
        ids = scene.client("payloads", count, size)
        scene.ids += ids
        grown = used_memory(scene) - before
        print(f"{count} messages of {size / 1e6:.0f} MB waiting: redis-server has grown by {grown / 1e6:.1f} MB",
              flush=True)
        check(scene.ready() == count and grown < count * size / 4, f"{scene.ready()} wait in {grown} bytes")
        scene.worker("worker", "-c", "2", quiet=True)
        # 10 GB: how long they take is not asked.
        scene.wait_empty(10 * WAIT if LONG else WAIT)
        check({result(scene, each)["result"] for each in ids} == {size}, "each was received whole")
        scene.audit()


def too_large_is_refused():
    with Scene() as scene:
        limited = {LIMIT: "1000000"}
        refused = scene.client("payloads", 1, 1_000_000, environment=limited)
        print(*refused, flush=True)
        check(refused == ["refused: the message of task pains.size has 1144054 bytes, "
                          "task_message_max_bytes allows 1000000"], str(refused))
        check(scene.ready() == 0, "nothing was sent")
        worker = scene.worker("worker", "-c", "1", environment=limited)
        task_id = scene.lovage("call", "pains.text", "-a", "[1000000]").strip()
        meta = result(scene, task_id)
        print(meta["status"], meta["result"], flush=True)
        check((meta["status"], meta["result"]["exc_type"]) == ("FAILURE", "EncodeError"), str(meta))
        check(meta["result"]["exc_message"] == ["the result of task pains.text has 1000002 bytes, "
                                                "task_message_max_bytes allows 1000000"], str(meta))
        check(worker.log().count("] received") == 1, "it ran once")
        scene.audit()


def python_reads_it():
    with Scene() as scene:
        task_id, = scene.client("payloads", 1, 1_000_000)
        compression = json.loads(scene.server.client().lindex("celery", 0))["headers"]["compression"]
        check(compression == "application/x-gzip", compression)
        scene.celery_worker("python", "-c", "1", "-P", "solo")
        meta = result(scene, task_id)
        check((meta["status"], meta["result"]) == ("SUCCESS", 1_000_000), str(meta))


if __name__ == "__main__":
    run(memory_is_bounded, too_large_is_refused, python_reads_it)
