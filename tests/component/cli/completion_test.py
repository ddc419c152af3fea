#!/usr/bin/env python3
"""The completion scripts and the manual page of the real program, read by the real shells and by groff.

Usage: completion_test.py LOVAGE. A shell or tool that is not installed is named and left out; bash must be there.
"""

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

LOVAGE = ""

# What stands on the command line, the last word being completed, and what is offered.
CASES = [
    (["wo"], ["worker"]),
    ([""], ["worker", "call", "result", "purge", "list", "status", "report", "dlq", "audit", "explain", "sweep",
            "handback"]),
    (["dlq", ""], ["list", "show", "retry", "purge"]),
    (["dlq", "show", "--js"], ["--json"]),
    (["worker", "--po"], ["--pool"]),
    (["worker", "--pool", ""], ["prefork", "threads", "solo"]),
    (["-b", "redis://h", "worker", "-P", "s"], ["solo"]),
    (["worker", "-P", "threads", "--prefetch"], ["--prefetch-multiplier"]),
    # "worker" is the name of an app here.
    (["-A", "worker", "st"], ["status"]),
    # A global option after the command.
    (["status", "--work"], ["--workdir"]),
    (["call", "--serializer", ""], ["json", "msgpack"]),
    (["call", "--queue", ""], []),
    (["--config", "with"], ["with blank.toml"]),
    (["--workdir", "f"], ["folder"]),
]
EQUALS = (["worker", "--pool=th"], "threads")

# Stands for what zsh has only while a line is edited.
ZSH_STUBS = r"""
compdef() { : }
compadd() { shift; for word in "$@"; do [[ $word == $PREFIX* ]] && print -r -- "$word"; done; return 0 }
_describe() { [[ $1 == -o ]] && shift; local each; for each in "${(@P)2}"; do compadd -- "${each%%:*}"; done }
compset() { PREFIX=${PREFIX#*=} }
_files() {
  local -a found
  if [[ $1 == -/ ]]; then found=($PREFIX*(N/)); else found=($PREFIX*(N)); fi
  print -rl -- $found
}
"""


def program(*arguments):
    env = {name: value for name, value in os.environ.items() if not name.startswith(("CELERY", "LOVAGE_", "APP"))}
    return subprocess.run([LOVAGE, *arguments], capture_output=True, text=True, check=True, timeout=60, env=env).stdout


def output(command, folder, text=None):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=folder, input=text)
    if done.returncode != 0 or done.stderr:
        raise AssertionError(f"{command} ended with {done.returncode}: {done.stderr}")
    return done.stdout.splitlines()


def array(words):
    return " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)


class Completion(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="lovage-completion-"))
        self.addCleanup(shutil.rmtree, self.folder)
        (self.folder / "with blank.toml").touch()
        (self.folder / "folder").mkdir()
        (self.folder / "file").touch()

    def script(self, shell):
        path = self.folder / f"lovage.{shell}"
        path.write_text(program("completion", shell))
        return path

    def need(self, tool):
        if shutil.which(tool) is None:
            self.skipTest(f"{tool} is not installed")

    def check_cases(self, offered):
        for words, expected in CASES:
            with self.subTest(words=words):
                self.assertEqual(sorted(offered(words)), sorted(expected))

    def bash(self, words, script):
        lines = (f"source {script}; COMP_WORDS=({array(['lovage', *words])}); COMP_CWORD={len(words)}; _lovage; "
                 'for word in "${COMPREPLY[@]}"; do printf "%s\\n" "$word"; done')
        return output(["bash", "--norc", "-c", lines], self.folder)

    def test_bash(self):
        script = self.script("bash")
        self.assertEqual(output(["bash", "--norc", "-c", f"source {script}; complete -p lovage"], self.folder),
                         ["complete -F _lovage lovage"])
        self.check_cases(lambda words: self.bash(words, script))
        # As bash takes "--pool=th" apart.
        self.assertEqual(self.bash(["worker", "--pool", "=", "th"], script), ["threads"])
        self.assertEqual(len(self.bash(["worker", "--pool", "="], script)), 3)
        self.assertEqual(self.bash(["worker", "--pool", "=", "threads", "--qu"], script), ["--queues", "--quiet"])

    def test_zsh(self):
        self.need("zsh")
        script = self.script("zsh")

        def offered(words):
            lines = (f"{ZSH_STUBS}\nsource {script}\nwords=({array(['lovage', *words])}); CURRENT={len(words) + 1}\n"
                     f"PREFIX={array(words[-1:])}\n_lovage\ntrue")
            return output(["zsh", "-f", "-c", lines], self.folder)

        self.check_cases(offered)
        self.assertEqual(offered(EQUALS[0]), [EQUALS[1]])

    def test_zsh_at_a_terminal(self):
        self.need("zsh")
        functions = self.folder / "functions"
        functions.mkdir()
        self.script("zsh").rename(functions / "_lovage")
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.folder)
            os.execvpe("zsh", ["zsh", "-f", "-i"], {"PATH": os.environ["PATH"], "TERM": "dumb", "HOME": str(self.folder)})
        try:
            os.write(terminal, f"fpath=({functions} $fpath); autoload -Uz compinit; compinit -u -D; print re''ady\n".encode())
            self.read_until(terminal, "ready")
            os.write(terminal, b"lovage wor\t--pool=thr\t")
            self.read_until(terminal, "lovage worker --pool=threads")
        finally:
            os.close(terminal)
            os.waitpid(pid, 0)

    def read_until(self, terminal, text):
        seen, deadline = "", time.monotonic() + 60
        while text not in seen:
            self.assertTrue(select.select([terminal], [], [], max(0, deadline - time.monotonic()))[0], f"seen: {seen!r}")
            seen += os.read(terminal, 4096).decode(errors="replace").replace("\b", "")
            seen = re.sub(" +", " ", seen)  # zsh draws the line again

    def test_fish(self):
        self.need("fish")
        script = self.script("fish")
        home = {**os.environ, "HOME": str(self.folder)}

        def offered(words):
            line = " ".join(["lovage", *words])
            done = subprocess.run(["fish", "--no-config", "-c", f"source {script}; complete -C '{line}'"], timeout=60,
                                  capture_output=True, text=True, cwd=self.folder, env=home)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            return [word.split("\t")[0].rstrip("/").replace("\\ ", " ") for word in done.stdout.splitlines()]

        self.check_cases(offered)
        self.assertEqual(offered(EQUALS[0]), ["--pool=threads"])

    def test_unknown_shell(self):
        for arguments in (["completion"], ["completion", "tcsh"]):
            done = subprocess.run([LOVAGE, *arguments], capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 2)
            self.assertIn("bash", done.stderr)

    def test_hidden_from_help(self):
        self.assertNotIn("completion", program("--help"))


class ManPage(unittest.TestCase):
    def test_is_clean(self):
        if shutil.which("groff") is None:
            self.skipTest("groff is not installed")
        # Manual pages are read at any width.
        for width in ("65n", "120n"):
            done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", f"-rLL={width}"], input=program("man"), text=True,
                                  capture_output=True, timeout=60)
            self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_has_every_command_and_option_of_the_help(self):
        page = program("man").replace("\\-", "-")
        for command in ([], ["worker"], ["call"], ["result"], ["purge"], ["status"], ["dlq", "retry"]):
            for line in program(*command, "--help").splitlines():
                for word in line.split("  ")[1].split(",") if line.startswith("  -") else []:
                    name = word.split()[0]
                    self.assertIn(f"\\fB{name}\\fR", page, f"{command} takes {name}")

    def test_can_be_repeated(self):
        self.assertEqual(program("man"), program("man"))


if __name__ == "__main__":
    LOVAGE = sys.argv.pop(1)
    unittest.main()
