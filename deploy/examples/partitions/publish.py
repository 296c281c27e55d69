#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Publishes to a topic in a Redis Cluster, once live and once logged; needs redis-py.

usage: publish.py REDIS_URL TOPIC DATA"""
import sys

import redis

from names import sluice_names

url, topic, data = sys.argv[1:]
cluster = redis.RedisCluster.from_url(url)
names = sluice_names(f"topic:{topic}")
cluster.spublish(names[0], data)  # live only
event_id, nodes = cluster.fcall("sluice_publish", len(names), *names, data)  # logged
print(event_id.decode(), nodes)
