# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# The library of the scenario tests; see ../README.md for what is where.

class Failure(AssertionError):
    """The program under test did something wrong."""


class Broken(Failure):
    """A promise is broken. Whatever a second run would show, this one counts."""


class Skip(Exception):
    """This scenario cannot run here; the text says why."""


def require(condition, message):
    """Fail with `message` unless `condition`; returns it."""
    if not condition:
        raise Failure(message)
    return condition


def promised(condition, message):
    """As require(), for what webmond promises."""
    if not condition:
        raise Broken(message)


def needs(*what):
    """Mark a scenario: it runs only as "root", as "user" (not root), with "kafka"."""
    def mark(function):
        function.needs = what
        return function
    return mark


def fault(number, what, promise, quick=True):
    """
    Mark a case of the fault suite: its number in tests/README.md, what is done to webmond, the
    promise that must hold all the same. `quick`: also in the short run that CI makes.
    """
    def mark(function):
        function.fault = {"number": number, "what": what, "promise": promise, "quick": quick}
        return function
    return mark
