# SPDX-License-Identifier: Apache-2.0
from binascii import crc_hqx


def sluice_names(target, once=None, prefix="sluice"):
    """Channel and log of "topic:news", "client:ann" or "all" in a cluster, then the other keys of `FCALL sluice_publish`."""
    base = "%s:{%d}" % (prefix, crc_hqx(target.encode(), 0) % 16 * 50)
    names = [f"{base}:{target}", f"{base}:last:{target}", f"{base}:clock"]
    return names + [f"{base}:once:{target} {once}"] if once else names
