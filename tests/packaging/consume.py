#!/usr/bin/env python3
"""Uses Lovage as another project would, in one of three ways, and runs a task through SQLite with what comes out.

Usage: consume.py find_package|pkg_config|add_subdirectory --build FOLDER --source FOLDER --version X.Y.Z
                  --compiler CXX [--define NAME=VALUE ...]

The first two install the existing build into an empty folder. The third builds Lovage again, statically: without
LOVAGE_IPO, as static libraries are by default. Its folder is kept for the next time.
"""

import argparse
import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONSUMER = HERE / "consumer"
WAIT = 120


def run(*command, **options):
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, timeout=3000, **options)
    if done.returncode != 0:
        sys.exit(f"FAILED ({done.returncode}): {shlex.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout


def check(condition, what):
    if not condition:
        sys.exit(f"FAILED: {what}")


def environment(folder):
    """No library path of the caller's, a database of its own."""
    values = {name: value for name, value in os.environ.items()
              if name not in ("LD_LIBRARY_PATH", "PKG_CONFIG_PATH") and not name.startswith(("CELERY_", "LOVAGE_"))}
    return {**values, "CELERY_BROKER_URL": f"sqlite:///{folder}/lovage.db"}


@contextlib.contextmanager
def worker(command, env, folder):
    """A worker that has said it is ready; ended by SIGTERM, as it should be."""
    process = subprocess.Popen([*map(str, command), "worker", "-c", "1", "-l", "INFO"], env=env, cwd=folder, text=True,
                               stderr=subprocess.PIPE)
    seen = []
    try:
        for line in process.stderr:
            seen.append(line)
            if " ready." in line:
                break
        else:
            sys.exit(f"FAILED: the worker ended at once:\n{''.join(seen)}")
        yield
        process.send_signal(signal.SIGTERM)
        seen.append(process.stderr.read())
        check(process.wait(WAIT) == 0, f"the worker ended with {process.returncode}:\n{''.join(seen)}")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def run_task(client, worker_program, env, folder):
    with worker([worker_program], env, folder):
        answer = run(client, env=env, cwd=folder)
    check(answer == "5\n", f"2 + 3 is {answer!r}")


def needed(program):
    """The shared libraries that a program names itself."""
    return re.findall(r"\(NEEDED\).*\[(.+?)\]", run("readelf", "-d", program))


def install(build, root):
    """`cmake --install` into an empty root; returns the prefix in it."""
    run("cmake", "--install", build, "--prefix", "/opt/lovage", env={**os.environ, "DESTDIR": str(root)})
    prefix = root / "opt" / "lovage"
    files = {path.relative_to(prefix).as_posix() for path in prefix.rglob("*") if not path.is_dir()}
    headers = {f"include/lovage/{path.name}" for path in (HERE.parents[1] / "include/lovage").iterdir()}
    check({name for name in files if name.startswith("include/")} == headers, "not exactly the public headers")
    for name in ("bin/lovage", "share/man/man1/lovage.1", "share/bash-completion/completions/lovage",
                 "share/zsh/site-functions/_lovage", "share/fish/vendor_completions.d/lovage.fish"):
        check(name in files, f"no {name}")
        check((prefix / name).stat().st_size > 0, f"{name} is empty")
    odd = [name for name in files if not name.startswith(("bin/lovage", "include/", "lib", "share/"))]
    check(not odd, f"installed in unusual places: {odd}")
    private = [name for name in files if re.search(r"gtest|layer_|fault_app|interop|shop", name)]
    check(not private, f"installed though nobody's business: {private}")
    said = run(prefix / "bin" / "lovage", "--version", env=environment(root))
    check(said.endswith(" (lovage)\n"), f"bin/lovage --version says {said!r}")
    check(str(build) not in run("readelf", "-d", prefix / "bin" / "lovage"), "bin/lovage knows the build folder")
    return prefix


def library_path(env, prefix):
    folders = {str(path.parent) for path in prefix.rglob("liblovage_client.so*")}
    return {**env, "LD_LIBRARY_PATH": ":".join(folders)}


def build_by_cmake(options, prefix, folder):
    """The consumer, built by find_package."""
    out = folder / "build"
    configure = ["cmake", "-G", "Ninja", "-S", CONSUMER, f"-DCMAKE_PREFIX_PATH={prefix}",
                 f"-DCMAKE_CXX_COMPILER={options.compiler}"]
    run(*configure, "-B", out, f"-DLOVAGE_VERSION={options.version}")
    run("cmake", "--build", out)
    refused = subprocess.run([*map(str, configure), "-B", str(folder / "newer"), "-DLOVAGE_VERSION=99.0"],
                             capture_output=True, text=True, timeout=300, check=False)
    check(refused.returncode != 0 and options.version in refused.stderr, "version 99.0 was found")
    return out


def build_by_pkg_config(options, prefix, folder):
    """The consumer, built in one line."""
    folders = {str(path.parent) for path in prefix.rglob("lovage*.pc")}
    check(len(folders) == 1, f".pc files in {folders}")
    env = {**environment(folder), "PKG_CONFIG_PATH": folders.pop()}
    check(run("pkg-config", "--modversion", "lovage", env=env).strip() == options.version, "another version")
    static = ["--static"] if is_static(prefix) else []
    for program, module in (("client", "lovage-client"), ("worker", "lovage")):
        flags = run("pkg-config", *static, "--cflags", "--libs", module, env=env).split()
        run(options.compiler, "-std=c++20", CONSUMER / f"{program}.cpp", "-o", folder / f"app-{program}", *flags)
    return folder


def is_static(prefix):
    return bool(list(prefix.rglob("liblovage_client.a")))


def by_find_package(options, folder):
    prefix = install(options.build, folder / "root")
    out = build_by_cmake(options, prefix, folder)
    check(is_static(prefix) or not any("worker" in name for name in needed(out / "app-client")),
          "the client links worker code")
    run_task(out / "app-client", out / "app-worker", environment(folder), folder)


def by_pkg_config(options, folder):
    prefix = install(options.build, folder / "root")
    out = build_by_pkg_config(options, prefix, folder)
    run_task(out / "app-client", out / "app-worker", library_path(environment(folder), prefix), folder)


def by_add_subdirectory(options, folder):
    out = Path(options.build) / "packaging" / "add_subdirectory"
    configure = ["cmake", "--fresh", "-G", "Ninja", "-S", CONSUMER, "-B", out, f"-DLOVAGE_FOLDER={options.source}",
                 f"-DCMAKE_CXX_COMPILER={options.compiler}", *[f"-D{define}" for define in options.define],
                 *[f"-DEXPECTED_{define}" for define in options.define]]
    run(*configure)
    targets = run("cmake", "--build", out, "--target", "help").split()
    own = [name for name in targets if name.startswith(("app_unit_test", "shop", "lovage-bench"))]
    check(not own, f"a parent gets {own} as well")
    run("cmake", "--build", out, "--target", "app-client", "app-worker", "lovage")
    check(not any("lovage" in name for name in needed(out / "app-worker")), "not linked statically")
    run_task(out / "app-client", out / "app-worker", environment(folder), folder)
    run("cmake", "--install", out, "--prefix", folder / "nothing")
    check(not list((folder / "nothing").rglob("*lovage*")), "a parent's install installs Lovage unasked")

    # The static libraries, installed: their users must be told what else to link.
    run(*configure, "-DLOVAGE_INSTALL=ON")
    run("cmake", "--build", out, "--target", "lovage", "lovage_documents")
    prefix = install(out, folder / "root")
    for build in (build_by_cmake, build_by_pkg_config):
        built = build(options, prefix, folder)
        check(not any("lovage" in name for name in needed(built / "app-worker")), "not linked statically")
        run_task(built / "app-client", built / "app-worker", environment(folder), folder)


WAYS = {"find_package": by_find_package, "pkg_config": by_pkg_config, "add_subdirectory": by_add_subdirectory}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("--build", required=True)
    parser.add_argument("--source", required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--define", action="append", default=[])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lovage-packaging-") as folder:
        WAYS[options.way](options, Path(folder))
    print(f"{options.way}: a task went through")


if __name__ == "__main__":
    main()
