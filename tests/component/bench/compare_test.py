"""bench/compare and bench/checks, by running them briefly.

    compare_test.py --bench PATH_OF_LOVAGE_BENCH
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

BENCH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../bench")
sys.path.insert(0, BENCH)
import machine
import report

if len(sys.argv) != 3 or sys.argv[1] != "--bench":
    sys.exit(__doc__)
PROGRAM = os.path.abspath(sys.argv[2])
del sys.argv[1:]
FIGURES = ("drain_per_s", "lat_p50_ms", "pss_mib", "startup_ms")
WORKFLOWS = {"group": ("group_s", "group_sent_per_s", "group_per_s", "pss_mib"),
             "chord": ("group_s", "chord_s", "chord_per_s", "chord_per_group", "pss_mib"),
             "chain": ("chain_s", "chain_step_ms", "pss_mib")}
CHARTS = ("drain-noop", "drain-cpu", "latency", "memory", "workflow-group", "workflow-chord", "workflow-chain")
TINY = ("--rounds", "1", "--tasks", "3000", "--members", "200", "--steps", "50", "--calls", "5")
DEBIAN_CELERY = [sys.executable if not os.path.exists("/usr/bin/python3") else "/usr/bin/python3", "-c",
                 "import celery, kombu.transport.redis"]
HAS_CELERY = subprocess.run(DEBIAN_CELERY, capture_output=True).returncode == 0


def run(script, *arguments, **environment):
    command = [sys.executable, os.path.join(BENCH, script), "--bench", PROGRAM, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})


class Compare(unittest.TestCase):
    def test_prints_every_figure_of_both_tasks(self):
        ended = run("compare", "--json", "--part", "drain", "--only", "lovage-threads", "--tasks", "1000",
                    "--rounds", "1", "--calls", "20")
        self.assertEqual(ended.returncode, 0, ended.stderr)
        figures = json.loads(ended.stdout)["systems"]["lovage-threads"]
        for task in ("noop", "cpu"):
            for figure in FIGURES:
                self.assertGreater(figures[task][figure], 0, (task, figure))
        # Two slots cannot burn more than two milliseconds of CPU in one: the task does its work.
        self.assertLess(figures["cpu"]["drain_per_s"], 2_200)
        self.assertGreater(figures["cpu"]["lat_p50_ms"], 1)
        self.assertIn("round 1 of 1", ended.stderr)

    @unittest.skipUnless(HAS_CELERY, "no Celery beside the Python of the system")
    def test_prints_the_same_figures_of_the_workflows_of_both(self):
        ended = run("compare", "--json", "--part", "workflows", "--only", "lovage-prefork,celery-debian", *TINY)
        self.assertEqual(ended.returncode, 0, ended.stderr)
        systems = json.loads(ended.stdout)["systems"]
        for name, tasks in (("lovage-prefork", 200), ("celery-debian", 20)):
            self.assertEqual(set(systems[name]), {"version", *WORKFLOWS})
            for workflow, figures in WORKFLOWS.items():
                for figure in figures:
                    self.assertGreater(systems[name][workflow][figure], 0, (name, workflow, figure))
            self.assertEqual(systems[name]["group"]["tasks"], tasks)
            # What is done has been sent before.
            self.assertGreater(systems[name]["group"]["group_sent_per_s"], systems[name]["group"]["group_per_s"])

    def test_writes_tables_and_charts_between_the_markers(self):
        names = "lovage-threads,celery-debian" if HAS_CELERY else "lovage-threads,lovage-prefork"
        with tempfile.TemporaryDirectory() as docs:
            page = os.path.join(docs, "benchmarks.md")
            report.write(page, "before\n<!-- compare:begin -->\nold\n<!-- compare:end -->\nbetween\n"
                               "<!-- workflows:begin -->\nold\n<!-- workflows:end -->\nafter\n")
            ended = run("compare", "--docs", docs, "--only", names, *TINY)
            self.assertEqual(ended.returncode, 0, ended.stderr)
            text = machine.read(page)
            self.assertTrue(text.startswith("before\n<!-- compare:begin -->"), text)
            self.assertIn("<!-- compare:end -->\nbetween\n<!-- workflows:begin -->", text)
            self.assertTrue(text.endswith("<!-- workflows:end -->\nafter\n"), text)
            self.assertNotIn("old", text)
            for table in text.split("between"):
                self.assertIn("| **Lovage threads** |", table)
                self.assertIn("| Celery (Debian) " if HAS_CELERY else "| **Lovage prefork** |", table)
            for chart in CHARTS:
                self.assertIn(f"(benchmarks/{chart}.svg)", text)
                drawn = machine.read(os.path.join(docs, "benchmarks", chart + ".svg"))
                xml.etree.ElementTree.fromstring(drawn)
                self.assertIn("prefers-color-scheme: dark", drawn)
                self.assertIn("Lovage threads", drawn)


class Missing(unittest.TestCase):
    def expect(self, ended, *words):
        self.assertEqual(ended.returncode, 2, ended.stderr)
        self.assertEqual(ended.stdout, "")
        for word in words:
            self.assertIn(word, ended.stderr)
        self.assertNotIn("Traceback", ended.stderr)

    def test_program(self):
        for script in ("compare", "checks"):
            self.expect(run(script, "--json", "--bench", "/nowhere/lovage-bench"), "no program /nowhere/lovage-bench", "ninja")

    def test_server(self):
        for script, only in (("compare", ["--only", "lovage-threads"]), ("checks", [])):
            self.expect(run(script, "--json", *only, PATH="/nowhere"), "apt-get install redis-server")

    def test_server_that_cannot_be_reached(self):
        with socket.socket() as taken:  # bound, not listening: nobody else gets the port
            taken.bind(("127.0.0.1", 0))
            url = "redis://:secret@127.0.0.1:%d" % taken.getsockname()[1]
            ended = run("compare", "--json", "--only", "lovage-threads", "--redis", url)
        self.expect(ended, "127.0.0.1", "Connection refused")
        self.assertNotIn("secret", ended.stderr)

    def test_system_that_was_asked_for(self):
        self.expect(run("compare", "--json", "--only", "lovage-threads,bullmq", PATH="/nowhere"), "bullmq", "apt-get install nodejs")

    def test_system_that_does_not_exist(self):
        self.expect(run("compare", "--json", "--only", "celeri"), "'celeri' is none of lovage-threads")

    def test_everything_to_compare_with(self):
        with tempfile.TemporaryDirectory() as folder:
            report.write(os.path.join(folder, "celery.py"), "raise ImportError('no Celery here')\n")
            ended = run("compare", "--json", "--part", "workflows", PYTHONPATH=folder)
        self.expect(ended, "nothing to compare with (workflows)", "no Celery here", "apt-get install python3-celery")

    def test_system_without_workflows(self):
        self.expect(run("compare", "--json", "--part", "workflows", "--only", "rq"), "'rq' is none of lovage-threads")

    @unittest.skipUnless(machine.file_system("/dev/shm") == "tmpfs", "no folder in memory")
    def test_disk(self):
        self.expect(run("checks", "--json", "--workload", "turn", "--folder", "/dev/shm"), "/dev/shm is in memory", "--folder")

    def test_database_of_ones_own(self):
        server = machine.RedisServer()
        try:
            client = machine.Redis(server.url + "/3")
            client.command("SET", "precious", "1")
            self.expect(run("compare", "--json", "--only", "lovage-threads", "--redis", server.url), "empty database")
            self.assertEqual(client.command("GET", "precious"), "1")
        finally:
            server.stop()

    def test_markers(self):
        with tempfile.TemporaryDirectory() as docs:
            page = os.path.join(docs, "benchmarks.md")
            report.write(page, "no markers\n")
            with self.assertRaisesRegex(RuntimeError, "compare:begin"):
                report.write_between(page, "compare", "table")
            self.assertEqual(machine.read(page), "no markers\n")


class Checks(unittest.TestCase):
    """A busy machine or a sanitizer may miss a target: then the exit code has to say so."""

    def check(self, workload, *arguments):
        ended = run("checks", "--json", "--workload", workload, *arguments)
        self.assertTrue(ended.stdout, ended.stderr)
        figures = json.loads(ended.stdout)[workload]
        self.assertEqual(ended.returncode, 0 if figures["kept"] else 1, ended.stderr)
        self.assertEqual("not met: " + workload in ended.stderr, not figures["kept"])
        return figures

    def test_flat(self):
        figures = self.check("flat", "--tasks", "1000", "--depths", "1,2000", "--rounds", "1")
        self.assertEqual([row["depth"] for row in figures["depths"]], [1, 2000])
        for row in figures["depths"]:
            self.assertGreater(row["drain_per_s"], 0)

    def test_eta(self):
        self.assertGreaterEqual(self.check("eta", "--etas", "1000")["scheduled"], 1000)

    def test_sleep(self):
        self.assertTrue(10 < self.check("sleep")["busy_percent"] <= 100.5)

    def test_sqlite(self):
        figures = self.check("sqlite", "--sqlite-tasks", "2000", "--rounds", "1")
        for pool in ("threads", "prefork"):
            self.assertGreater(figures[pool]["drain_per_s"], 0)

    def test_crowd(self):
        figures = self.check("crowd", "--sqlite-tasks", "5000", "--rounds", "1")
        # What is drained while the producers send is a part of what they sent.
        self.assertTrue(0 < figures["drain_per_s"] <= figures["sent_per_s"], figures)

    def test_turn(self):
        figures = self.check("turn", "--turns", "200", "--rounds", "1")
        self.assertTrue(0 < figures["turn_p50_ms"] <= figures["turn_p99_ms"] <= figures["turn_max_ms"], figures)
        self.assertGreater(figures["sent_per_s"], 0)


if __name__ == "__main__":
    unittest.main()
