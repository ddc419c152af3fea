"""Workflows in a line of text, as shapes.

    a → b            b takes the result of a
    a ⇢ b            b comes after a, without its result
    {a, b}           a group
    {a, b} → c       c takes the results of a group: a chord, with its count
    map(a, a)        one task that makes these calls
    [b: x → y]       what stands in the place of b
    {a + x, b}       a adds x to its group
    {a, {b}} = {b}   the same, written in two ways
    a → b; link(its result) at b; link_error(once) at a, b    callbacks, what they are told, and where they hang: at
                     tasks, at the `count` of a chord, at `all` of it
"""

import re

import shapes

TOKEN = re.compile(r"[→⇢=+{}\[\]():,]|[^\s→⇢=+{}\[\]():,]+")
CALLBACK = re.compile(r"(\w+)\((.+)\) at (.+)")
KINDS = {"link": "well", "on_success": "well", "link_error": "badly", "on_failure": "badly", "on_complete": "ended"}


class Reader:
    def __init__(self, text):
        self.tokens = TOKEN.findall(text)

    def next(self):
        return self.tokens.pop(0)

    def take(self, *wanted):
        """The next token, where it is one of these."""
        return self.next() if self.tokens and self.tokens[0] in wanted else None

    def until(self, end, one):
        found = []
        while not self.take(end):
            found.append(one())
            self.take(",")
        return found

    def flow(self):
        whole = self.item()
        while arrow := self.take("→", "⇢", "="):
            whole = shapes.beside(whole, arrow, self.item())
        return whole

    def member(self):
        adder = self.flow()
        return shapes.adding(adder, shapes.box(self.next())) if self.take("+") else adder

    def item(self):
        if self.take("{"):
            return shapes.group(self.until("}", self.member))
        if self.take("["):
            name, _, inner, _ = self.next(), self.next(), self.flow(), self.next()
            return shapes.place(name, inner)
        name = self.next()
        if self.take("("):
            return shapes.calls(name, self.until(")", self.next))
        return shapes.ellipsis() if name == "…" else shapes.box(name)


def callback(text):
    name, note, spots = CALLBACK.fullmatch(text).groups()
    return KINDS[name], name, note, spots.split(", ")


def read(text):
    flow, *callbacks = text.split("; ")
    shape = Reader(flow).flow()
    if not callbacks:
        return shape
    hung = [callback(one) for one in callbacks]
    return shapes.hanging(shapes.framed(shape) if hung[0][3] == ["all"] else shape, hung)
