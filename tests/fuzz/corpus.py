#!/usr/bin/env python3
"""Writes the fuzz targets' corpora, from the golden samples and the documentation.

Usage: corpus.py SOURCE_FOLDER OUTPUT_FOLDER
"""

import base64
import hashlib
import json
import re
import shutil
import sys
from pathlib import Path


def strings_of(value):
    """Every string within a sample, and every object as text: messages, bodies, results, keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield json.dumps(value)
        for member in value.values():
            yield from strings_of(member)
    elif isinstance(value, list):
        for item in value:
            yield from strings_of(item)


def is_envelope(text):
    return '"properties"' in text and '"body"' in text and not text.startswith('{"sample"')


def golden(folder):
    for path in sorted(folder.rglob("*.json")):
        yield from strings_of(json.loads(path.read_text()))


def replies(messages):
    """RESP as a server would send it, with the byte in front that tells the target how to cut it."""
    simple = [b"+OK\r\n", b"-ERR no\r\n", b":-42\r\n", b"$-1\r\n", b"*-1\r\n", b"*0\r\n", b"$0\r\n\r\n",
              b"-READONLY You can't write against a read only replica.\r\n", b"*2\r\n*1\r\n:1\r\n$1\r\na\r\n"]
    for message in messages:
        data = message.encode("utf-8", "surrogatepass")
        simple.append(b"*3\r\n$7\r\nmessage\r\n$1\r\nq\r\n$%d\r\n%s\r\n" % (len(data), data))
        simple.append(b"*7\r\n:1\r\n:0\r\n:-1\r\n*2\r\n:1\r\n:1\r\n*1\r\n$%d\r\n%s\r\n*0\r\n*0\r\n" % (len(data), data))
    for cut in (0, 1, 7):
        for reply in simple:
            yield bytes([cut]) + reply


def controls(envelopes):
    """Remote control: messages as captured, their bodies alone, messages with the body as it is, patterns of names."""
    for text in envelopes:
        if "celery.pidbox" not in text:
            continue
        yield text.encode()
        try:
            message = json.loads(text)
            body = base64.b64decode(message["body"], validate=True).decode()
        except (ValueError, KeyError, TypeError):
            continue
        yield body.encode()
        message["body"] = body
        del message["properties"]["body_encoding"]
        yield json.dumps(message).encode()
    yield b"\x83\xa6method\xa4ping\xabdestination\x91\xa7m1@wire\xa9arguments\x80"
    yield from (b"m1@*", b"m[!2]?wire", b"m[12]@", b"^(?:m1|m2)@\\w+$", b"(a*)*b{2,3}?[^]x-z\\d]+|.")


def settings(docs):
    """The settings' names as lines of TOML, and the examples of the documentation."""
    text = (docs / "settings.md").read_text()
    names = sorted(set(re.findall(r"`([a-z][a-z0-9_]+)`", text)))
    values = ["true", "12", "1.5", '"text"', '["json", "msgpack"]', '{ queue = "io" }', '"redis://:secret@host:6379/1"']
    for value in values:
        yield "\n".join(f"{name} = {value}" for name in names).encode()
    for name in names:
        yield "\n".join(f"{name} = {value}" for value in values[:3]).encode()
    for example in re.findall(r"```toml\n(.*?)```", text, re.DOTALL):
        yield example.encode()
    for url in re.findall(r"(?:redis|rediss|sqlite|memory|sentinel)(?:\+\w+)?://[^\s`'\")]*", text):
        yield url.encode()


def write(folder, inputs):
    folder.mkdir(parents=True)
    count = 0
    for data in inputs:
        path = folder / hashlib.sha1(data).hexdigest()
        count += not path.exists()
        path.write_bytes(data)
    if count == 0:
        raise SystemExit(f"corpus.py: nothing for {folder.name}")
    print(f"{folder.name}: {count} files")


def main():
    source, output = Path(sys.argv[1]), Path(sys.argv[2])
    shutil.rmtree(output, ignore_errors=True)
    texts = sorted(set(golden(source / "tests" / "golden")))
    envelopes = [text for text in texts if is_envelope(text)]
    as_bytes = lambda items: (item.encode("utf-8", "surrogatepass") for item in items)
    write(output / "envelope", as_bytes(envelopes))
    write(output / "control", controls(envelopes))
    write(output / "value", as_bytes(text for text in texts if len(text) < 20_000))
    write(output / "canvas", as_bytes(text for text in texts if text.startswith("{") and '"subtask_type"' in text[:20_000]
                                      and len(text) < 20_000))
    write(output / "redis_reply", replies(envelopes[:20]))
    write(output / "settings", settings(source / "docs"))


if __name__ == "__main__":
    main()
