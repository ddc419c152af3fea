"""The web service: takes work in, answers with an id, and tells later what became of it."""

from typing import List

from celery.result import AsyncResult
from fastapi import FastAPI
from pydantic import BaseModel, Field

from app.celery_app import app as celery
from app.celery_app import closest, count_primes
from app.tasks import split_and_count, write_report

app = FastAPI(title="Python in front, C++ behind")


class Primes(BaseModel):
    below: int = Field(ge=0, le=100_000_000)


class Report(Primes):
    title: str


class Word(BaseModel):
    word: str
    among: List[str]


class Limits(BaseModel):
    limits: List[int]


def accepted(result):
    return {"id": result.id, "url": f"/tasks/{result.id}"}


@app.post("/primes", status_code=202)
def post_primes(body: Primes):
    """A C++ task."""
    return accepted(count_primes.apply_async(args=(body.below,)))


@app.post("/closest", status_code=202)
def post_closest(body: Word):
    """A C++ task with keyword arguments."""
    return accepted(closest.apply_async(kwargs={"word": body.word, "among": body.among}))


@app.post("/reports", status_code=202)
def post_report(body: Report):
    """A C++ task whose result a Python task goes on with."""
    return accepted((count_primes.clone(args=(body.below,)) | write_report.s(body.title)).apply_async())


@app.post("/batches", status_code=202)
def post_batch(body: Limits):
    """A Python task that sends C++ tasks."""
    return accepted(split_and_count.delay(body.limits))


@app.get("/tasks/{task_id}")
def get_task(task_id: str):
    """PENDING (or unknown), STARTED, PROGRESS with what is done, SUCCESS with the result, FAILURE with the error."""
    result = AsyncResult(task_id, app=celery)
    answer = {"id": task_id, "state": result.state}
    if result.successful():
        answer["result"] = result.result
    elif result.failed():
        answer["error"] = f"{type(result.result).__name__}: {result.result}"
    elif result.state == "PROGRESS":
        answer["progress"] = result.info
    return answer
