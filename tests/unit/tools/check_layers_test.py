#!/usr/bin/env python3
"""The checks of layers, tests and pictures find what they are for: each case plants one violation in a small tree, or
in a small page."""

import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "docs/canvas")]
sys.dont_write_bytecode = True

import check_layers  # noqa: E402
import check_tests  # noqa: E402
import draw  # noqa: E402


def tree(files):
    folder = tempfile.TemporaryDirectory()
    for name, text in files.items():
        path = Path(folder.name) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


class Layers(unittest.TestCase):
    def problems(self, files):
        with tree(files) as root:
            return check_layers.check(Path(root))[1]

    def refuses(self, including, included, text):
        found = self.problems({including: f'#include "{included}"\n', f"src/{included}": "\n"})
        self.assertEqual(len(found), 1, found)
        self.assertIn(f"{including}:1: ", found[0])
        self.assertIn(text, found[0])

    def test_downwards_is_fine(self):
        self.assertEqual(
            self.problems({
                "src/worker/a.cpp": '#include "execution/pool.hpp"\n#include <lovage/app.hpp>\n#include <vector>\n',
                "src/execution/pool.hpp": '#include "base/url.hpp"\n',
                "src/base/url.hpp": "#include <string>\n",
                "include/lovage/app.hpp": "#include <lovage/value.hpp>\n",
                "include/lovage/value.hpp": "#include <string>\n",
            }), [])

    def test_upwards_is_refused(self):
        self.refuses("src/base/a.hpp", "wire/b.hpp", "base stands below wire")
        self.refuses("src/app/a.cpp", "worker/worker.hpp", "app stands below worker")

    def test_siblings_are_refused(self):
        self.refuses("src/beat/a.cpp", "worker/b.hpp", "siblings")

    def test_wire_is_pure(self):
        self.refuses("src/wire/a.cpp", "net/loop.hpp", "wire is pure")

    def test_an_engine_is_private(self):
        self.refuses("src/app/a.cpp", "broker/redis/broker.hpp", "the redis engine")
        self.refuses("src/broker/sqlite/a.cpp", "broker/redis/broker.hpp", "the redis engine")

    def test_engines_and_the_engine_itself_see_it(self):
        self.assertEqual(
            self.problems({
                "src/engines/a.cpp": '#include "broker/redis/broker.hpp"\n',
                "src/backend/redis/a.cpp": '#include "broker/redis/broker.hpp"\n',
                "src/broker/redis/broker.hpp": "\n",
            }), [])

    def test_public_headers_stand_alone(self):
        found = self.problems({"include/lovage/a.hpp": '#include <fmt/format.h>\n#include "base/url.hpp"\n'})
        self.assertEqual(len(found), 2, found)

    def test_a_public_header_of_a_higher_layer_is_refused(self):
        self.assertEqual(len(self.problems({"src/wire/a.cpp": "#include <lovage/app.hpp>\n"})), 1)

    def test_heavy_libraries_stay_out_of_headers(self):
        self.assertEqual(len(self.problems({"src/net/a.hpp": "#include <spdlog/spdlog.h>\n"})), 1)
        self.assertEqual(self.problems({"src/net/a.cpp": "#include <spdlog/spdlog.h>\n"}), [])


class Tests(unittest.TestCase):
    def problems(self, files):
        with tree(files) as root:
            return check_tests.check(Path(root))[1]

    def test_a_listed_test_is_fine(self):
        self.assertEqual(
            self.problems({
                "tests/unit/CMakeLists.txt": "lovage_test(a SOURCES base/a_test.cpp LABEL unit)\n",
                "tests/unit/base/a_test.cpp": 'GTEST_SKIP() << "no IPv6 here";\n',
            }), [])

    def test_a_forgotten_test_is_found(self):
        found = self.problems({"tests/unit/CMakeLists.txt": "# base/a_test.cpp\n", "tests/unit/base/a_test.cpp": "\n"})
        self.assertEqual(found, ["tests/unit/base/a_test.cpp: in no test target"])

    def test_a_coverage_page_that_names_no_test_is_found(self):
        found = self.problems({
            "tests/unit/CMakeLists.txt": "a_test.cpp",
            "tests/unit/a_test.cpp": "TEST_F(Chains, AreLong) {}\n",
            "docs/some_coverage.md": "| `one` | `Chains.AreLong` |\n| `two` | `Chains.AreShort`, `GroupResult.save` |\n",
        })
        self.assertEqual(found, ["docs/some_coverage.md:2: there is no test Chains.AreShort"])

    def test_silent_skips_and_sleeps_are_found(self):
        found = self.problems({
            "tests/unit/CMakeLists.txt": "a_test.cpp",
            # In pieces, for this file is checked as well.
            "tests/unit/a_test.cpp": "TEST(A, DISABLED" "_b)\nGTEST_SKIP" "();\nstd::this_thread::sleep" "_for(1s);\n",
        })
        self.assertEqual(len(found), 3, found)


class Pictures(unittest.TestCase):
    PAGE = "| Form | Graph |\n|---|---|\n" + "".join(
        f"| `{name}` | ![{picture[-1]}](canvas/{name}.svg)<br>what happens |\n" for name, picture in draw.PICTURES.items())
    FILES = {f"{name}.svg": draw.draw(*picture) for name, picture in draw.PICTURES.items()}

    def test_what_is_drawn_and_shown_is_fine(self):
        self.assertEqual(list(draw.check(self.PAGE, self.FILES)), [])

    def test_a_picture_that_was_changed_or_is_not_there_is_found(self):
        changed = self.FILES | {"chain.svg": self.FILES["chain.svg"].replace(">b<", ">x<")}
        self.assertEqual(list(draw.check(self.PAGE, changed)), ["canvas/chain.svg: not what draw.py draws"])
        del changed["chain.svg"]
        self.assertEqual(list(draw.check(self.PAGE, changed)), ["canvas/chain.svg: not what draw.py draws"])

    def test_a_picture_that_nothing_draws_is_found(self):
        found = list(draw.check(self.PAGE + "![a](canvas/ring.svg)\n", self.FILES | {"ring.svg": "<svg/>"}))
        self.assertEqual(found, ["canvas/ring.svg: not what draw.py draws",
                                 "canvas/ring.svg: drawn from None, shown on the page as a"])

    def test_another_text_than_the_pictures_is_found(self):
        found = list(draw.check(self.PAGE.replace("![a → b → c](", "![a → b]("), self.FILES))
        self.assertEqual(found, ["canvas/chain.svg: drawn from a → b → c, shown on the page as a → b"])

    def test_a_row_without_a_picture_is_found(self):
        found = list(draw.check(self.PAGE + "| `ring(a)` | `a → a` |\n", self.FILES))
        self.assertEqual(found, [f"canvas.md:{len(draw.PICTURES) + 3}: `ring(a)` has no picture"])

    def test_a_picture_that_is_too_wide_is_refused(self):
        with self.assertRaises(ValueError):
            draw.draw(100, "", "", "a → b → c")


if __name__ == "__main__":
    unittest.main()
