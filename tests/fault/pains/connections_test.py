"""Many calls, one in a hundred awaited: channels, connections and the client's memory stay what they were."""

import threading

from pains import LONG, Scene, check, run

GROWTH_KIB = 2 * 1024
CHANNELS = 2
CLIENT_CONNECTIONS = 4


def calls_leave_nothing():
    calls = 1_000_000 if LONG else 2_000
    # Nothing is killed here, and a million writes to the disk are not what is asked.
    with Scene("redis", "--appendfsync", "everysec") as scene:
        scene.worker("worker", "-c", "2", "-P", "threads", settings=["result_expires=10"], quiet=True)
        redis = scene.server.client()
        workers = len(redis.client_list())
        most = {"channels": 0, "connections": 0}
        over = threading.Event()

        def watch():
            while not over.wait(0.02):
                most["channels"] = max(most["channels"], len(redis.pubsub_channels()))
                most["connections"] = max(most["connections"], len(redis.client_list()) - workers)

        watcher = threading.Thread(target=watch)
        watcher.start()
        lines = scene.client("calls", calls, 100)
        over.set()
        watcher.join()
        memory = [int(line.split()[1]) for line in lines]
        print(f"{calls} calls: at most {most['channels']} channels, {most['connections']} connections; client's memory "
              f"{memory[1]} -> {memory[-1]} KiB", flush=True)
        check(most["channels"] <= CHANNELS, f"{most['channels']} channels")
        check(most["connections"] <= CLIENT_CONNECTIONS, f"{most['connections']} connections")
        check(memory[-1] - memory[1] <= GROWTH_KIB, f"memory at each tenth: {memory}")
        scene.audit(seconds=300)


if __name__ == "__main__":
    run(calls_leave_nothing)
