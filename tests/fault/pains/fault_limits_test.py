"""File descriptors and processes run out: at a worker's start, and under a worker that runs.

RLIMIT_NPROC does not bind root, so the workers are another user's; who is not root sets his own limits.
"""

import os
import signal
import subprocess
import time

from faults import Account, Sender, as_nobody
from pains import LONG, Scene, check, run, tree, until

LEASE = 1.5
SAYS_FILES = "Too many open files"
SAYS_FORKS = "Resource temporarily unavailable"


def limit(pid, what, most, by=()):
    """Sets the soft limit alone; "": to the hard one. `by`: the words that make us the process' user."""
    words = [*by, "prlimit", f"--pid={pid}"]
    if most == "":
        most = subprocess.check_output([*words, f"--{what}", "--output=HARD", "--noheadings"], text=True).strip()
    subprocess.run([*words, f"--{what}={most}:"], check=True)


def few_files_at_the_start():
    """From hardly any to enough: each worker ends and says why, or runs all that is sent."""
    ended, ran = [], []
    with Scene() as scene:
        for files in range(4, 41, 1 if LONG else 6):
            command = ["prlimit", f"--nofile={files}", *scene.worker_command("worker", "-c", "2")]
            log = scene.path(f"start{files}")
            with open(log, "w", encoding="utf-8") as out:
                worker = subprocess.Popen(command, env=scene.environment(), stdout=out, stderr=out)
            scene.callback(worker.kill)
            scene.send("mark", 5, f"ran{files}")
            until(lambda: worker.poll() is not None or len(scene.lines(f"ran{files}")) == 5 or
                  SAYS_FILES in open(log, encoding="utf-8").read(), f"an end or work with {files} files", 30)
            done = len(scene.lines(f"ran{files}")) == 5
            worker.send_signal(signal.SIGTERM)
            worker.wait(30)
            with open(log, encoding="utf-8") as out:
                text = out.read()
            check(done or SAYS_FILES in text, f"with {files} files, exit code {worker.returncode}, it said: {text}")
            check(worker.returncode >= 0, f"with {files} files it died of signal {-worker.returncode}: {text[-2000:]}")
            (ran if done else ended).append(files)
        scene.worker("last", "-c", "2")
        scene.audit()
        print(f"descriptors allowed at the start: {ended}: said so; {ran}: all tasks ran", flush=True)
        check(ran, "40 are enough")


def no_files_for_a_sender():
    """Its connections are cut while it can open none: each send says why, until it can again."""
    with Scene() as scene:
        scene.worker("worker", "-c", "2")
        sender = Sender(scene, "ran", timeout=1)
        sender.wait_sent(20)
        limit(sender.process.pid, "nofile", 3)
        scene.server.client().execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        sender.wait_refused(3)
        limit(sender.process.pid, "nofile", "")
        sender.wait_sent(20)
        account = Account(sender)
        print(f"no descriptors for a sender whose connections were cut: {account}", flush=True)
        account.check_whole()
        account.check_reasons(SAYS_FILES)


def files_run_out_under_work():
    """All connections are cut while none can be opened: the worker is given up, its tasks run elsewhere; then it
    comes back."""
    with Scene() as scene:
        starved = scene.worker("starved", "-c", "2")
        other = scene.worker("other", "-c", "2")
        scene.send("mark", 4, "long", 8_000)
        scene.wait_lines("long", 4)
        sender = Sender(scene, "ran")
        sender.wait_sent(20)
        limit(starved.pid, "nofile", 3)
        scene.server.client().execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        until(lambda: SAYS_FILES in starved.log(), "the worker says so")
        until(lambda: "missed heartbeat from starved@" in other.log(), "it is given up", 30)
        limit(starved.pid, "nofile", "")
        until(lambda: "declared lost" in starved.log(), "it is told so", 60)
        before = starved.log().count("received")
        until(lambda: starved.log().count("received") > before, "it works again")
        account = Account(sender)
        starts = len(scene.lines("long"))
        print(f"no descriptors for a worker whose connections were cut: {account}; 4 long tasks, {starts} starts",
              flush=True)
        account.check_whole(again=4)
        check(starts <= 6 and set(scene.lines("long")) == set("0123"), f"{starts} starts")


def forks_fail():
    """The pool's children are killed while none can be forked: their tasks wait, and run when they can again."""
    with Scene() as scene:
        user = as_nobody(scene)
        worker = scene.worker("worker", "-c", "2", command=user)
        sender = Sender(scene, "ran", milliseconds=5)
        sender.wait_sent(50)
        fork_server = tree(worker.pid)[1]
        limit(fork_server, "nproc", 0, user)
        for child in worker.children():
            os.kill(child, signal.SIGKILL)
        until(lambda: SAYS_FORKS in worker.log(), "the worker says so")
        before = len(worker.log())
        begin = time.monotonic()
        seconds = 20 if LONG else 4
        until(lambda: time.monotonic() > begin + seconds, "the end of the fault", seconds + 10)
        said = worker.log()[before:].count(SAYS_FORKS)
        stuck = len(scene.lines("ran"))
        limit(fork_server, "nproc", "", user)
        recovered = until(lambda: len(scene.lines("ran")) > stuck + 50, "work again", 30)
        account = Account(sender)
        print(f"no forks for {seconds} s, said {said} times: work again {recovered:.1f} s after they were allowed; "
              f"{account}", flush=True)
        account.check_whole(again=2)
        check(said <= 10 * seconds, "it is not said without end")


def no_forks_at_the_start():
    """Neither processes nor threads: it ends and says why, and nothing is lost."""
    with Scene() as scene:
        user = as_nobody(scene)
        scene.send("mark", 5, "ran")
        for pool in ("prefork", "threads"):
            command = [*user, "prlimit", "--nproc=1", *scene.worker_command("worker", "-c", "2", "-P", pool)]
            done = subprocess.run(command, env=scene.environment(), timeout=60, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, check=False)
            print(f"{pool}: ended with {done.returncode}: {done.stdout.splitlines()[-1]}", flush=True)
            check(done.returncode > 0 and SAYS_FORKS in done.stdout, f"{done.returncode}: {done.stdout}")
        scene.worker("worker", "-c", "2")
        scene.audit()
        check(sorted(scene.lines("ran")) == list("01234"), "all ran once")


if __name__ == "__main__":
    run(few_files_at_the_start, no_files_for_a_sender, files_run_out_under_work, forks_fail, no_forks_at_the_start)
