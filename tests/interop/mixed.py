"""Sends to one queue that a Celery worker and a Lovage worker serve at once, and counts who ran what."""

import collections
import json

import pyapp

WAIT = 60
COUNT = 400


def main():
    results = [pyapp.whoami.delay() for _ in range(COUNT)]
    ran = collections.Counter(result.get(timeout=WAIT) for result in results)
    ok = sum(ran.values()) == COUNT and ran["py"] > 0 and ran["cpp"] > 0
    print(json.dumps({"scenario": "shared_queue_celery_sends", "ok": ok, "detail": "" if ok else repr(ran)}))
    return 0 if ok else 1


if __name__ == "__main__":
    raise SystemExit(main())
