"""Figures and what they may be: the budget file, and what is to be said of figures beside it.

A line of the file is a name, its instructions and its allocations; # begins a comment, and the head is kept when the file
is rewritten, but for the line of versions.
"""

import re

TOLERANCE = 0.05
VERSIONS = "# measured with: "
KINDS = ("instructions", "allocations")


class Malformed(Exception):
    pass


def read(path):
    """Budgets by name, and the versions that they were measured with."""
    budgets, versions = {}, ""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith(VERSIONS):
            versions = line.removeprefix(VERSIONS)
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) != 3 or words[0] in budgets or not all(re.fullmatch(r"[0-9]+(\.[0-9]+)?", w) for w in words[1:]):
            raise Malformed(f"{path}:{number}: not a new name, its instructions and its allocations: {line}")
        budgets[words[0]] = (float(words[1]), float(words[2]))
    return budgets, versions


def write(path, figures, versions):
    lines = path.read_text().splitlines()
    head = [line for line in lines if line.startswith("#") and not line.startswith(VERSIONS)]
    rows = [f"{name:16} {instructions:12.0f} {allocations:12.1f}" for name, (instructions, allocations) in figures.items()]
    path.write_text("\n".join([*head, VERSIONS + versions, "", *rows]) + "\n")


def judge(figures, budgets):
    """What is too much, and what has become less: two lists of sentences."""
    over, under = [], []
    for name in sorted(set(figures) ^ set(budgets)):
        over.append(f"{name} has no budget" if name in figures else f"{name} has a budget and was not measured")
    for name in (name for name in figures if name in budgets):
        for kind, figure, budget in zip(KINDS, figures[name], budgets[name]):
            text = f"{name}: {figure:,.1f} {kind}, {figure / budget - 1:+.1%} of its {budget:,.1f}" if budget else ""
            if figure > budget * (1 + TOLERANCE):
                over.append(text or f"{name}: {figure:,.1f} {kind}, and none is allowed")
            elif figure < budget * (1 - TOLERANCE):
                under.append(text)
    return over, under


def self_test():
    """Made-up figures, each with what has to be said of it: (figures, budgets, sentences over, sentences under)."""
    budgets = {"a": (1000.0, 100.0)}
    cases = [
        ({"a": (1000.0, 100.0)}, budgets, 0, 0),
        ({"a": (1049.0, 104.0)}, budgets, 0, 0),
        ({"a": (951.0, 96.0)}, budgets, 0, 0),
        ({"a": (1051.0, 100.0)}, budgets, 1, 0),
        ({"a": (1000.0, 106.0)}, budgets, 1, 0),
        ({"a": (1051.0, 94.0)}, budgets, 1, 1),
        ({"a": (900.0, 90.0)}, budgets, 0, 2),
        ({}, budgets, 1, 0),
        ({"a": (1000.0, 100.0), "b": (1.0, 1.0)}, budgets, 1, 0),
        ({"a": (1000.0, 1.0)}, {"a": (1000.0, 0.0)}, 1, 0),
    ]
    for figures, allowed, over, under in cases:
        said = judge(figures, allowed)
        if (len(said[0]), len(said[1])) != (over, under):
            raise AssertionError(f"of {figures} with {allowed} is said: {said}")
