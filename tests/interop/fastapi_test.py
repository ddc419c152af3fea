#!/usr/bin/env python3
"""The FastAPI example as its README starts it: requests over HTTP, answers from C++ and from Python.

Usage: fastapi_test.py --run examples/fastapi/run --worker CPU_WORKER. Says what is missing and exits with 77 when
FastAPI, uvicorn or Celery are not installed.
"""

import argparse
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.request

PYTHON = "/usr/bin/python3"
SKIPPED = 77
WAIT = 120
options = None


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def missing():
    for module in ("fastapi", "uvicorn", "celery", "redis"):
        if subprocess.run([PYTHON, "-c", f"import {module}"], capture_output=True, check=False).returncode != 0:
            yield f"python3-{module}"


class Service(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        port = free_port()
        cls.url = f"http://127.0.0.1:{port}"
        env = {name: value for name, value in os.environ.items()
               if not name.startswith(("CELERY", "LOVAGE_")) and name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        cls.process = subprocess.Popen(
            [options.run, "--port", str(port), "--redis-port", str(free_port()), "--worker", options.worker],
            env={**env, "PYTHON": PYTHON}, stdout=subprocess.PIPE, text=True)
        cls.addClassCleanup(cls.stop)
        for line in cls.process.stdout:
            if line.startswith("Serving "):
                return
        raise AssertionError(f"{options.run} ended with {cls.process.wait(WAIT)}")

    @classmethod
    def stop(cls):
        cls.process.send_signal(signal.SIGTERM)
        code = cls.process.wait(WAIT)
        cls.process.stdout.close()
        assert code == 143, f"the service ended with {code}"

    def request(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=WAIT) as answer:
            return answer.status, json.load(answer)

    def submit(self, path, body):
        status, answer = self.request(path, body)
        self.assertEqual(status, 202)
        return answer["url"]

    def follow(self, url, states=None):
        """The answer once it is final; `states` collects what was seen on the way."""
        deadline = time.monotonic() + WAIT
        while True:
            _, answer = self.request(url)
            if states is not None:
                states.append(answer)
            if answer["state"] in ("SUCCESS", "FAILURE"):
                return answer
            self.assertLess(time.monotonic(), deadline, answer)
            select.select([], [], [], 0.02)  # what a browser does between two looks

    def test_cpp_task(self):
        answer = self.follow(self.submit("/primes", {"below": 1_000_000}))
        self.assertEqual((answer["state"], answer["result"]), ("SUCCESS", 78498))

    def test_small_limits(self):
        for below, expected in ((0, 0), (2, 0), (3, 1), (100, 25)):
            self.assertEqual(self.follow(self.submit("/primes", {"below": below}))["result"], expected)

    def test_keyword_arguments(self):
        url = self.submit("/closest", {"word": "lovace", "among": ["celery", "lovage", "parsley"]})
        self.assertEqual(self.follow(url)["result"], {"word": "lovage", "distance": 1})

    def test_error_of_a_cpp_task(self):
        answer = self.follow(self.submit("/closest", {"word": "x", "among": []}))
        self.assertEqual((answer["state"], answer["error"]), ("FAILURE", "ValueError: among is empty"))

    def test_progress(self):
        seen = []
        self.assertEqual(self.follow(self.submit("/primes", {"below": 100_000_000}), seen)["result"], 5761455)
        progress = [answer["progress"] for answer in seen if answer["state"] == "PROGRESS"]
        self.assertTrue(progress, "no progress was seen")
        self.assertTrue(all(0 < each["done"] < each["total"] == 100_000_000 for each in progress), progress)

    def test_python_goes_on_with_the_result(self):
        answer = self.follow(self.submit("/reports", {"below": 1000, "title": "Below a thousand"}))
        self.assertEqual(answer["result"], "Below a thousand: 168 primes")

    def test_python_sends_to_cpp(self):
        ids = self.follow(self.submit("/batches", {"limits": [10, 100, 1000]}))["result"]
        self.assertEqual([self.follow(f"/tasks/{each}")["result"] for each in ids], [4, 25, 168])

    def test_wrong_input_is_refused(self):
        with self.assertRaises(urllib.error.HTTPError) as refused:
            self.request("/primes", {"below": "many"})
        self.assertEqual(refused.exception.code, 422)
        refused.exception.close()


def main():
    global options
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", required=True)
    parser.add_argument("--worker", required=True)
    options, rest = parser.parse_known_args()
    packages = list(missing())
    if packages:
        print(f"not installed: {' '.join(packages)} (apt install {' '.join(packages)})")
        sys.exit(SKIPPED)
    unittest.main(argv=[sys.argv[0], *rest])


if __name__ == "__main__":
    main()
