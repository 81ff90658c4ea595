#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The webmond authors
#
# A small validator of JSON Schema (2020-12): the keywords that etc/check-result.v1.schema.json
# uses, and an error for any other, so that a new one is not passed over in silence.
#
#   schema.py SCHEMA.json < RECORDS     one JSON object a line; says what is wrong, exit code 1
#   schema.py SCHEMA.json --self-test   are the examples in the schema valid, and not all is?

import json
import re
import sys
from datetime import datetime

TYPES = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
    "integer": lambda v: (isinstance(v, int) and not isinstance(v, bool))
                         or (isinstance(v, float) and v.is_integer()),
}
NOTES = {"$schema", "$id", "$comment", "title", "description", "examples", "default"}


def _same(a, b):
    """Equal as JSON: 1 and true are different, 1 and 1.0 are not."""
    return a == b and isinstance(a, bool) == isinstance(b, bool)


def _date_time(text):
    try:
        datetime.strptime(text.replace("Z", "+0000"), "%Y-%m-%dT%H:%M:%S.%f%z")
        return True
    except ValueError:
        return False


def _leaf(keyword, rule, value):
    """Whether `value` keeps to a keyword that looks at it alone; None: unknown keyword."""
    text, number = isinstance(value, str), TYPES["number"](value)
    if keyword == "type":
        return any(TYPES[t](value) for t in (rule if isinstance(rule, list) else [rule]))
    if keyword == "enum":
        return any(_same(value, v) for v in rule)
    if keyword == "const":
        return _same(value, rule)
    if keyword == "pattern":
        return not text or re.search(rule, value) is not None
    if keyword == "minLength":
        return not text or len(value) >= rule
    if keyword == "maxLength":
        return not text or len(value) <= rule
    if keyword == "minimum":
        return not number or value >= rule
    if keyword == "maximum":
        return not number or value <= rule
    if keyword == "exclusiveMinimum":
        return not number or value > rule
    if keyword == "exclusiveMaximum":
        return not number or value < rule
    if keyword == "format":
        return rule != "date-time" or not text or _date_time(value)
    return None


def validate(schema, value, path="record"):
    """What is wrong with `value`: a list of sentences, empty when it is valid."""
    wrong = []
    for keyword, rule in schema.items():
        if keyword in NOTES or keyword in ("then", "else"):
            continue
        if keyword == "required":
            if isinstance(value, dict):
                wrong += [f"{path}: no {name}" for name in rule if name not in value]
        elif keyword == "properties":
            if isinstance(value, dict):
                for name, sub in rule.items():
                    if name in value:
                        wrong += validate(sub, value[name], f"{path}.{name}")
        elif keyword == "additionalProperties":
            if isinstance(value, dict) and rule is not True:
                for name in value.keys() - schema.get("properties", {}).keys():
                    wrong += ([f"{path}: {name} is not allowed"] if rule is False
                              else validate(rule, value[name], f"{path}.{name}"))
        elif keyword == "allOf":
            for sub in rule:
                wrong += validate(sub, value, path)
        elif keyword == "if":
            branch = "else" if validate(rule, value, path) else "then"
            if branch in schema:
                wrong += [f"{w} (by {branch} of {json.dumps(rule)})"
                          for w in validate(schema[branch], value, path)]
        else:
            good = _leaf(keyword, rule, value)
            if good is None:
                raise ValueError(f"schema.py does not know the keyword {keyword!r}")
            if not good:
                wrong.append(f"{path}: {json.dumps(value)} is against {keyword} "
                             f"{json.dumps(rule)}")
    return wrong


def _unique(pairs):
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _refuse(constant):
    raise ValueError(f"{constant} is not JSON")


def parse(text):
    """JSON as strict as it should be: no double keys, no NaN."""
    return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)


def self_test(schema):
    wrong = [w for example in schema["examples"] for w in validate(schema, example)]
    for broken in ({"seq": -1}, {"seq": True}, {"status": "fine"}, {"error_type": "dns"},
                   {"site": "a b"}, {"scheduled_at": "2026-11-23T10:17:12Z"},
                   {"scheduled_at": "2026-13-23T10:17:12.000Z"}, {"dropped_through": 5},
                   {"started_at": None}, {"error_message": "x"}, {"schema_version": 2}, {"attempts": 0},
                   {"streak": 0}, {"streak": None}, {"status_since": None},
                   {"first_error_type": "local"}, {"cert_sha256": "5F"}, {"agent": None},
                   {"body_sample": "x"}, {"alone": True}, {"group": "eu"}, {"group": "e u", "alone": False}):
        if not validate(schema, {**schema["examples"][0], **broken}):
            wrong.append(f"{broken} should not be valid")
    for name in schema["required"]:
        example = dict(schema["examples"][0])
        del example[name]
        if not validate(schema, example):
            wrong.append(f"without {name} it should not be valid")
    return wrong


def main(argv):
    if len(argv) not in (1, 2) or argv[1:] not in ([], ["--self-test"]):
        print("usage: schema.py SCHEMA.json [--self-test] < RECORDS", file=sys.stderr)
        return 64
    with open(argv[0], encoding="utf-8") as f:
        schema = json.load(f)
    wrong, count = [], 0
    if len(argv) == 2:
        wrong, count = self_test(schema), 1
    else:
        for count, line in enumerate(sys.stdin, 1):
            try:
                wrong += [f"line {count}: {w}" for w in validate(schema, parse(line))]
            except ValueError as e:
                wrong.append(f"line {count}: {e}")
    print("\n".join(wrong) if wrong else f"{count} valid")
    return 1 if wrong or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
