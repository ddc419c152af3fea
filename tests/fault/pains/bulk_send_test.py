"""Many tasks at once, over a network whose round trip takes 1 ms: a thousand tasks leave before any answer is there, and
whoever sends them in chunks needs no more memory for more of them."""

from pains import LONG, Scene, check, run, until
from proxy import Proxy

CHUNK = 1_000
ROUND_TRIP = 0.001
GROWTH_KIB = 512


def send(scene, how, count, broker):
    redis = scene.server.client()
    redis.config_resetstat()
    line, = scene.client("bulk", how, count, environment={"CELERY_BROKER_URL": broker})
    pushes = redis.info("commandstats")["cmdstat_lpush"]["calls"]
    milliseconds, before, after = map(int, line.split())
    print(f"{count} tasks, {how}: {milliseconds} ms, {pushes} LPUSH, client's memory {before} -> {after} KiB", flush=True)
    check(pushes <= count // 100, f"{pushes} sends")
    return after - before


def leaves_before_an_answer():
    with Scene() as scene:
        proxy = Proxy(scene.server.port)
        proxy.silent_from = b"LPUSH"
        client = scene.start_client("bulk", "chunks", CHUNK,
                                    environment={"CELERY_BROKER_URL": f"redis://127.0.0.1:{proxy.port}/0"})
        until(lambda: scene.ready() == CHUNK, f"the arrival of {CHUNK} tasks without an answer", 20)
        proxy.speaks.set()
        check(client.wait(20) == 0, "and all of them were sent")


def sends_in_bulk():
    count = 100_000 if LONG else 10_000
    with Scene() as scene:
        proxy = Proxy(scene.server.port)
        proxy.latency = ROUND_TRIP / 2
        broker = f"redis://127.0.0.1:{proxy.port}/0"
        grown = send(scene, "chunks", count, broker)
        check(grown <= GROWTH_KIB, f"the client has grown by {grown} KiB")
        send(scene, "group", count, broker)
        check(scene.ready() == 2 * count, f"{scene.ready()} wait")


if __name__ == "__main__":
    run(sends_in_bulk, leaves_before_an_answer)
