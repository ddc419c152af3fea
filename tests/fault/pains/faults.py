"""What the tests of faults share: a sender whose every send has a counted outcome, and the account at the end."""

import contextlib
import glob
import os
import shutil
import subprocess
import threading
from collections import Counter

from pains import arguments, check, until


class Sender:
    """Sends pains.mark one by one and goes on, whatever happens to a send: sent, uncertain or refused."""

    def __init__(self, scene, file, *, first=0, count=1_000_000, milliseconds=0, pause_ms=5, timeout=5, broker=None,
                 command=()):
        self.scene, self.file = scene, file
        self.ids = {"sent": {}, "uncertain": {}}  # by the task's number
        self.reasons = {}  # of refused ones
        environment = {"LOVAGE_TASK_PUBLISH_TIMEOUT": str(timeout)}
        if broker:
            environment["CELERY_BROKER_URL"] = environment["CELERY_RESULT_BACKEND"] = broker
        self.process = scene.start_client("trickle", first, count, scene.path(file), milliseconds, pause_ms,
                                          environment=environment, command=command, stdin=subprocess.PIPE)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        scene.callback(self.end)

    def read(self):
        for line in self.process.stdout:
            outcome, number, what = line.rstrip("\n").split(" ", 2)
            if outcome == "refused":
                self.reasons[int(number)] = what
            else:
                self.ids[outcome][int(number)] = what

    def end(self):
        with contextlib.suppress(BrokenPipeError, ValueError):
            self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise SystemExit("FAILED: a sender did not end") from None
        self.reader.join()

    def wait_sent(self, more, seconds=60):
        before = len(self.ids["sent"])
        until(lambda: len(self.ids["sent"]) >= before + more, f"{more} more accepted sends", seconds)

    def wait_refused(self, more, seconds=60):
        before = len(self.reasons)
        until(lambda: len(self.reasons) >= before + more, f"{more} more refused sends", seconds)


class Account:
    """What became of a sender's tasks: it ends, and the audit follows when all of them are done."""

    def __init__(self, sender, seconds=120):
        sender.end()
        sender.scene.audit(seconds)
        self.sent, self.uncertain, self.refused = sender.ids["sent"], sender.ids["uncertain"], sender.reasons
        self.runs = Counter(map(int, sender.scene.lines(sender.file)))
        self.unexplained = sender.scene.unexplained(self.sent.values())
        self.lost = sorted(set(self.sent) - set(self.runs))
        self.again = sum(count - 1 for count in self.runs.values())
        self.refused_ran = sorted(set(self.refused) & set(self.runs))
        self.uncertain_ran = len(set(self.uncertain) & set(self.runs))

    def __str__(self):
        return (f"{len(self.sent)} sends accepted, {len(self.uncertain)} uncertain ({self.uncertain_ran} of them ran), "
                f"{len(self.refused)} refused ({len(self.refused_ran)} ran); {len(self.lost)} lost, {self.again} ran "
                "again")

    def check_whole(self, again=0):
        """Whatever was accepted has run, what was refused has not, and no more ran twice than may."""
        check(not self.lost, f"accepted and never run: {self.lost[:20]}")
        check(not self.unexplained, f"the audit cannot account for {self.unexplained}")
        check(not self.refused_ran, f"refused, and run all the same: {self.refused_ran[:20]}")
        check(self.again <= again, f"{self.again} ran again, {again} may")

    def check_reasons(self, *words):
        """Each refusal says why, in one of these words."""
        vague = {reason for reason in self.refused.values() if not any(word in reason for word in words)}
        check(not vague, f"reasons other than {words}: {vague}")


def as_nobody(scene):
    """The words by which root starts programs that permissions and limits bind, from copies that anyone may read."""
    if os.geteuid() != 0:
        return []
    os.chmod(scene.folder, 0o777)
    folder = scene.path("program")
    os.mkdir(folder)
    scene.app = shutil.copy(scene.app, folder)
    for library in glob.glob(os.path.join(os.path.dirname(arguments().app), "..", "lib", "*.so.*")):
        shutil.copy(library, folder)
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", f"LD_LIBRARY_PATH={folder}"]
