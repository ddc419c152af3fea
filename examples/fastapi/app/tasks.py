"""The tasks that stay in Python: what waits for others, or needs Python's libraries."""

from app.celery_app import app, count_primes


@app.task(name="service.write_report")
def write_report(count, title):
    """Runs after a C++ task, with its result as the first argument."""
    return f"{title}: {count} primes"


@app.task(name="service.split_and_count", bind=True)
def split_and_count(self, limits):
    """A Python task that hands work on to C++; nobody waits for it here."""
    return [count_primes.clone(args=(limit,)).apply_async().id for limit in limits]
