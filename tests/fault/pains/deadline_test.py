"""A producer whose broker is down, or never answers, gets its error by the deadline, each time."""

import contextlib
import socket

from pains import LONG, Scene, check, run

TIMEOUT = 1.0
SLACK = 0.3


def deadlines_hold():
    with Scene() as scene, contextlib.closing(socket.create_server(("127.0.0.1", 0))) as silent:
        scene.server.stop()
        addresses = {"down": scene.server.port, "silent": silent.getsockname()[1]}
        for title, port in addresses.items():
            url = f"redis://127.0.0.1:{port}/0"
            lines = scene.client("deadline", 20 if LONG else 2, environment={
                "CELERY_BROKER_URL": url, "CELERY_RESULT_BACKEND": url, "LOVAGE_TASK_PUBLISH_TIMEOUT": str(TIMEOUT)})
            took = [int(line.split()[0]) / 1000 for line in lines]
            print(f"{title}: {[f'{each:.2f} s' for each in took]}: {lines[0].split(' ', 1)[1]}", flush=True)
            check(all(" sent" not in line for line in lines), "nothing can have been sent")
            check(max(took) <= TIMEOUT + SLACK, f"the deadline of {TIMEOUT} s did not hold")


if __name__ == "__main__":
    run(deadlines_hold)
