#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Keeps a table of who is online, from the entries that nodes with --presence append to a Redis stream; needs redis-py.

usage: presence.py [REDIS_URL]

The table is two keys of this program's own: the hash `app:online` (client -> ms since when), and `app:seen`, the events that it
has had, since an entry may be repeated. Each entry is taken in one transaction, so that a crash in between changes nothing.
What is published while nobody runs this waits in the stream, and what it had in hand when it crashed it is given again first.
Run one: two would share the entries out, and one client's would lose their order.
"""

import sys
import time

import redis

STREAM = "sluice:presence"  # in a cluster sluice:{0}:presence
GROUP, CONSUMER = "app", "backend"
ONLINE, SEEN = "app:online", "app:seen"
SEEN_MAX = 100_000


def take(server, entry_id, fields):
    """Returns whether this was a change."""
    with server.pipeline() as transaction:
        while True:
            try:
                transaction.watch(SEEN)
                is_new = transaction.zscore(SEEN, fields["event"]) is None
                transaction.multi()
                if is_new and fields["state"] == "present":
                    transaction.hset(ONLINE, fields["client"], fields["at"])
                elif is_new:
                    transaction.hdel(ONLINE, fields["client"])
                transaction.zadd(SEEN, {fields["event"]: int(fields["at"])})
                transaction.zremrangebyrank(SEEN, 0, -SEEN_MAX - 1)
                transaction.xack(STREAM, GROUP, entry_id)
                transaction.execute()
                return is_new
            except redis.WatchError:
                continue  # somebody else has written to it meanwhile


def follow(server):
    """Takes entry after entry; yields those that are changes. Fails when Redis is away."""
    try:
        server.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    except redis.ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise
    position = "0"  # first what it has been given before
    while True:
        replies = server.xreadgroup(GROUP, CONSUMER, {STREAM: position}, count=100, block=2000)
        entries = replies[0][1] if replies else []
        for entry_id, fields in entries:
            # None: it was in hand, and has been trimmed since.
            if fields and take(server, entry_id, fields):
                yield fields
        if position != ">":
            position = entries[-1][0] if entries else ">"


def main():
    url = sys.argv[1] if len(sys.argv) > 1 else "redis://127.0.0.1:6390"
    server = redis.Redis.from_url(url, decode_responses=True, protocol=2)
    while True:
        try:
            for change in follow(server):
                print(change["state"], change["client"], "on", change["node"], "now", server.hlen(ONLINE), flush=True)
        except redis.RedisError as error:
            # Away, failing over, or without the group; perhaps what Redis has forgotten comes again.
            print("trying again:", error, file=sys.stderr)
            time.sleep(1)


if __name__ == "__main__":
    main()
