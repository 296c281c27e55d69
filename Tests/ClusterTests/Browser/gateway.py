# SPDX-License-Identifier: Apache-2.0
"""What a backend does, for the tests of browsers: it publishes, makes tokens, disconnects."""

import base64
import hashlib
import hmac
import json
import time
import urllib.request


class Gateway:
    """`secret` is the key that signs the tokens of a gateway that asks for them."""

    def __init__(self, url, secret=None):
        self.url, self.secret = url, secret

    def token(self, **claims):
        def part(bytes):
            return base64.urlsafe_b64encode(bytes).rstrip(b"=").decode()

        claims = {"exp": time.time() + 600, **claims}
        text = part(b'{"alg":"HS256"}') + "." + part(json.dumps(claims).encode())
        return f"{text}.{part(hmac.new(self.secret, text.encode(), hashlib.sha256).digest())}"

    def publish(self, via=None, **event):
        """`via` is another node than the one of the URL."""
        return self.request("POST", "/publish", via, json.dumps(event).encode())

    def disconnect(self, client, query=""):
        return self.request("DELETE", f"/clients/{client}{query}")

    def request(self, method, target, via=None, body=None):
        fields = {"Content-Type": "application/json"} if body else {}
        if self.secret:
            fields["Authorization"] = f"Bearer {self.token(sluice={'admin': True})}"
        request = urllib.request.Request((via or self.url) + target, body, fields, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)
