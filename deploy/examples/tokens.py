#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Streams a made-up answer token by token, with nothing but redis-py; tokens.html shows it.

usage: tokens.py [REDIS_URL]
"""

import re
import sys
import time
import uuid

import redis

ANSWER = """A sluice is a gate that lets water through by measure. The reservoir behind it is the log: what has \
passed is still there for those who come late. The channels below are the streams, and there may be many thousands \
of them, but the water is measured only once.

Whoever opens this page half-way sees the first word first. Whoever reloads it sees the same words again, none twice \
and none left out: <b>as text</b>, with "quotes", ümlauts and 日本語. And when the last word is out, the gate closes, \
and nobody knocks on it again. ∎
"""


def main():
    server = redis.Redis.from_url(sys.argv[1] if len(sys.argv) > 1 else "redis://127.0.0.1:6390")
    topic = f"job.{uuid.uuid4().hex}"
    print(topic, flush=True)
    tokens = re.findall(r"\s*\S+|\s+$", ANSWER)
    for number, token in enumerate(tokens, start=1):
        # The log must hold all of it. "once", because redis-py repeats a command whose reply was lost.
        options = ["event", "token", "maxlen", len(tokens), "once", number]
        if number == len(tokens):
            options += ["end", 1]
        server.fcall("sluice_publish", 1, f"sluice:topic:{topic}", token, *options)
        time.sleep(0.05)


if __name__ == "__main__":
    main()
