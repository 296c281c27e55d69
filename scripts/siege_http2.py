# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 by hand (RFC 9113), as far as scripts/siege needs it: an honest client's frames and what attackers make of
them."""

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 0x1
END_HEADERS = 0x4
WINDOW_MAX = 2**31 - 1
CANCEL = 0x8


def frame(kind, flags=0, stream=0, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def settings(**values):
    names = {"initial_window_size": 0x4}
    return frame(SETTINGS, payload=b"".join(
        names[name].to_bytes(2, "big") + value.to_bytes(4, "big") for name, value in values.items()))


def window_update(stream, count):
    return frame(WINDOW_UPDATE, stream=stream, payload=count.to_bytes(4, "big"))


def reset(stream, code=CANCEL):
    return frame(RST_STREAM, stream=stream, payload=code.to_bytes(4, "big"))


def text(content):
    """A string of HPACK (RFC 7541 §5.2), not compressed; its length has 7 bits in the first byte (§5.1)."""
    length, rest = bytearray((min(len(content), 127),)), len(content) - 127
    while rest >= 128:
        length.append(rest % 128 + 128)
        rest //= 128
    if rest >= 0:
        length.append(rest)
    return bytes(length) + content


def fields(*pairs):
    """A header block that leaves the decoder's table alone."""
    return b"".join(b"\0" + text(name.encode()) + text(value.encode()) for name, value in pairs)


def get(target, scheme, authority, *more):
    return fields((":method", "GET"), (":scheme", scheme), (":authority", authority), (":path", target), *more)


class FrameReader:
    def __init__(self):
        self.rest = b""

    def feed(self, more):
        """The whole frames that are there now, as (kind, flags, stream, payload)."""
        content, at = self.rest + more, 0
        while len(content) - at >= 9:
            end = at + 9 + int.from_bytes(content[at:at + 3], "big")
            if end > len(content):
                break
            yield content[at + 3], content[at + 4], int.from_bytes(content[at + 5:at + 9], "big"), content[at + 9:end]
            at = end
        self.rest = content[at:]
