# SPDX-License-Identifier: Apache-2.0
"""Attacks of scripts/audit with tokens, cookies and keys: forged, stolen, odd, or of another kind than they look."""
import base64
import http.server
import json
import threading
import time

from audit_lab import HTTP2, JSON, Stream, encoded, eventually, may, request, signing_input, token

ATTACKS = """public_key_as_secret forged_tokens forged_token_queue unknown_key_id token_types subject_without_client
    push_by_cookie publish_by_query loopback_by_name""".split()
EVERYTHING = {"subscribe": ["*"], "publish": ["*"], "admin": True}
COOKIE = "sluice_token="


def rsa(lab, name):
    """A key pair; the private key's file, and the public key as PEM."""
    private = lab.folder / f"{name}.pem"
    lab.run("openssl", "genrsa", "-out", private, "2048")
    return private, lab.run("openssl", "rsa", "-in", private, "-pubout")


def jwk(lab, private, key_id):
    modulus = lab.run("openssl", "rsa", "-in", private, "-noout", "-modulus").split(b"=")[1].strip()
    return {"kty": "RSA", "kid": key_id, "use": "sig", "alg": "RS256", "e": "AQAB", "n": encoded(bytes.fromhex(modulus.decode()))}


def signed(lab, private, key_id=None, **claims):
    """An RS256 token."""
    header = {"alg": "RS256", "typ": "JWT"} | ({"kid": key_id} if key_id else {})
    text = signing_input({"exp": int(time.time()) + 600} | claims, header)
    return f"{text}.{encoded(lab.run('openssl', 'dgst', '-sha256', '-sign', private, input=text.encode()))}"


def bearer(text):
    return "Authorization", f"Bearer {text}"


def public_key_as_secret(lab):
    """A public key in any form is never a secret with which tokens can be made."""
    private, pem = rsa(lab, "rsa")
    der = lab.run("openssl", "rsa", "-in", private, "-pubout", "-outform", "DER")
    lab.run("openssl", "genpkey", "-algorithm", "ed25519", "-out", lab.folder / "ed.pem")
    edwards = lab.run("openssl", "pkey", "-in", lab.folder / "ed.pem", "-pubout", "-outform", "DER")
    forms = {
        "PEM": pem, "RSA in DER": der, "Ed25519 in DER": edwards, "a JWK set": json.dumps({"keys": [jwk(lab, private, "1")]}).encode(),
        "OpenSSH": b"ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519\0\0\0 " + edwards[-32:]) + b" login@example.com\n",
        "PEM in UTF-16": b"\xff\xfe" + pem.decode().encode("utf-16-le"), "PEM behind a mark": b"\xef\xbb\xbf" + pem,
        "PEM without its first hyphen": pem[1:], "DER in base64": base64.b64encode(der) + b"\n",
    }
    refused = 0
    for form, content in forms.items():
        try:
            node = lab.node(None, "--auth", "jwt", "--jwt-key", lab.file("public", content))
        except Exception:
            refused += 1
            continue
        for secret in {content, content.rstrip(b"\r\n")}:
            code = node.publish({"all": True, "data": "forged"}, bearer(token(secret, sluice=EVERYTHING)))[0]
            lab.expect(code == 401, f"{form}: signed with nothing but the public key, {code}")
    lab.saw(f"{refused} of {len(forms)} forms stop the start")


def forged_tokens(lab):
    """No token is good but one that the key has signed, now, for this."""
    now, rights = int(time.time()), {"sluice": EVERYTHING}
    node = lab.guarded(None, "--jwt-audience", "me")
    good = token(aud="me", **rights)
    body = json.dumps({"topic": "a", "data": "x"}).encode()

    def ask(text):
        return request(node.port, "POST", "/publish", [JSON, bearer(text)], body)[0]
    lab.expect(ask(good) == 200, "a good token is refused")
    parts = good.split(".")
    unsigned = signing_input({"exp": now + 600, "aud": "me", **rights}, {"alg": "none"})
    forged = {
        "no signature": f"{parts[0]}.{parts[1]}.", "alg none": f"{unsigned}.", "alg nOnE": signing_input({**rights}, {"alg": "nOnE"}) + ".",
        "alg hs256": token(aud="me", header={"alg": "hs256"}, **rights), "another key": token(b"x" * 32, aud="me", **rights),
        "expired": token(aud="me", exp=now - 60, **rights), "not yet": token(aud="me", nbf=now + 600, **rights),
        "for another": token(aud="you", **rights), "for nobody": token(**rights), "crit": token(aud="me", header={"crit": ["x"]}, **rights),
        "a fourth part": good + ".x", "padding": good + "=", "another payload": f"{parts[0]}.{encoded(json.dumps(rights).encode())}.{parts[2]}",
        "a key of its own": token(b"x" * 32, aud="me", header={"jwk": {"kty": "oct", "k": encoded(b"x" * 32)}}, **rights),
        "a path as kid": token(b"", aud="me", header={"kid": "/dev/null"}, **rights), "nothing": "", "dots": "..", "exp as text": token(aud="me", exp="9", **rights),
    }
    for name, text in forged.items():
        code = ask(text)
        lab.expect(code == 401, f"{name}: {code}")
    lab.saw(f"{len(forged)} forgeries")


def forged_token_queue(lab):
    """Forged tokens don't keep good ones waiting, least of all when their senders are gone."""
    private, pem = rsa(lab, "rsa")
    node = lab.node(None, "--auth", "jwt", "--jwt-key", lab.file("public", pem))
    text = signing_input({"exp": int(time.time()) + 600, "sub": "x"}, {"alg": "RS256"})
    goods = [signed(lab, private, sub=f"good{n}") for n in range(3)]

    def waited(good, name):
        began = time.monotonic()
        opened = Stream(node.port, f"/events?client={name}", [bearer(good)]).wait(b"event: checkpoint", 10)
        return time.monotonic() - began if opened else 10
    quiet = waited(goods[0], "good0")
    for number in range(150):
        connection = HTTP2(node.port)
        for request_number in range(100):
            garbage = encoded(bytes(248) + (number * 100 + request_number).to_bytes(8, "big"))
            connection.request("/events?topic=a", bearer(f"{text}.{garbage}"))
        connection.socket.close()
    before = node.cpu()
    busy = waited(goods[1], "good1")
    time.sleep(2)
    after = node.cpu() - before
    lab.saw(f"a good token's stream opens after {busy * 1e3:.0f} ms (before {quiet * 1e3:.0f}); {after:.2f} s of CPU for those who had gone")
    lab.expect(busy < 1, "a good token waits for 15,000 forged ones")
    lab.expect(after < 0.7, "tokens of connections that are gone are still checked")


def unknown_key_id(lab):
    """A stranger's unknown key id does not shut the holders of new keys out."""
    keys = {"keys": []}

    class Issuer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            content = json.dumps(keys).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Issuer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        old, new = rsa(lab, "old")[0], rsa(lab, "new")[0]
        keys["keys"] = [jwk(lab, old, "old")]
        node = lab.node(None, "--auth", "jwt", "--jwks", f"http://127.0.0.1:{server.server_port}/keys")
        time.sleep(11)  # the look-ups that follow the start
        node.request("GET", "/events?topic=a", [bearer(token(b"x" * 32, header={"kid": "stranger"}))], seconds=2)
        keys["keys"].append(jwk(lab, new, "new"))
        good = signed(lab, new, "new", sub="ann", sluice={"subscribe": ["*"]})
        stream = Stream(node.port, "/events?topic=a", [bearer(good)])
        code = stream.status
        lab.saw(f"the first token of a new key, after a stranger's: {code}")
        lab.expect(code == 200, f"{code}, at which an EventSource gives up for good")
    finally:
        server.shutdown()


def token_types(lab):
    """A token that was made for something else opens nothing."""
    node = lab.guarded()
    for kind in ("logout+jwt", "dpop+jwt", "LOGOUT+JWT", "application/logout+jwt", "secevent+jwt", "JWE"):
        code = node.publish({"topic": "a", "data": "x"}, bearer(token(sluice=EVERYTHING, header={"typ": kind})))[0]
        lab.expect(code == 401, f"typ {kind}: {code}")
    for kind in ("JWT", "jwt", "at+jwt"):
        code = node.publish({"topic": "a", "data": "x"}, bearer(token(sluice=EVERYTHING, header={"typ": kind})))[0]
        lab.expect(code == 200, f"typ {kind}: {code}")
    lab.saw("9 types")


def subject_without_client(lab):
    """A token whose subject is no client id is limited like any other, or refused."""
    node = lab.guarded(None, "--max-streams-per-client", "2")
    for subject in ("with space", "{6F9619FF-8B86-D011-B42D-00CF4FC964FF}", "x" * 300, ""):
        text = token(sub=subject, sluice={"subscribe": ["*"]})
        streams = [Stream(node.port, "/events?topic=t", [bearer(text)]) for _ in range(4)]
        held = sum(stream.is_held for stream in streams)
        lab.saw(f"{subject[:12]!r}: {held} of 4")
        lab.expect(held <= 2, f"the subject {subject[:12]!r} has {held} streams where two are allowed")
        for stream in streams:
            stream.close()


def push_by_cookie(lab):
    """A link or an image on a stranger's page publishes nothing in its visitor's name."""
    page = "https://www.example.com"
    node = lab.guarded(None, "--origin", page)
    victim = Stream(node.port, "/events?client=bob", [may(sub="bob")]).opened()
    cookie = ("Cookie", COOKIE + token(sub="boss", sluice={"publish": ["*"]}))
    links = {
        "a link, over plain http": [], "a link in a mail": [("Sec-Fetch-Site", "none"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")],
        "a link on a stranger's page": [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate")],
        "a page of the list": [("Origin", page), ("Sec-Fetch-Site", "same-site")],
    }
    for name, headers in links.items():
        code = node.request("GET", "/push?client_id=bob&message=forged", [cookie, *headers], seconds=2)[0]
        lab.expect(code in (401, 403, 405), f"{name}: {code}")
    for name, headers in (("a form without an origin", []), ("a stranger's form", [("Origin", "http://evil.example")]), ("Origin: null", [("Origin", "null")])):
        code = node.request("POST", "/push?client_id=bob&message=forged", [cookie, *headers], b"", seconds=2)[0]
        lab.expect(code in (401, 403), f"{name}: {code}")
    lab.expect(not victim.wait(b"forged", 0.5), "it arrived")
    lab.expect(node.request("POST", "/push?client_id=bob&message=fine", [may(publish=["*"])], b"")[0] == 200, "a token in the header is refused")
    listed = lab.node(None, "--origin", page)
    for name, headers in (("cross-site", [("Sec-Fetch-Site", "cross-site")]), ("a stranger's origin", [("Origin", "http://evil.example")])):
        code = listed.request("GET", "/push?client_id=bob&message=m", headers, seconds=2)[0]
        lab.expect(code in (401, 403, 405), f"open mode with a list, {name}: {code}")
    lab.saw("9 ways")


def publish_by_query(lab):
    """What publishes, disconnects or asks for rights to do so is never carried by a URL, nor by a cookie from nowhere."""
    node, text = lab.guarded(), token(sluice=EVERYTHING)
    body = b'{"topic":"a","data":"x"}'
    for name in ("access_token", "token"):
        for method, target, content in (("POST", "/publish?", body), ("DELETE", "/clients/bob?", None), ("POST", "/push?client_id=a&message=m&", b""),
                                        ("GET", "/push?client_id=a&message=m&", None)):
            code = node.request(method, f"{target}{name}={text}", [JSON] if content == body else [], content, seconds=2)[0]
            lab.expect(code == 401, f"{method} {target}{name}=…: {code}")
    for method, target, content in (("POST", "/publish", body), ("DELETE", "/clients/bob", None)):
        code = node.request(method, target, [JSON, ("Cookie", COOKIE + text)], content, seconds=2)[0]
        lab.expect(code in (401, 403), f"{method} {target} by a cookie without an origin: {code}")
    stream = Stream(node.port, f"/events?topic=a&access_token={text}")
    lab.expect(stream.is_held, "a stream by a token in its URL is refused")
    lab.saw("10 ways")


def loopback_by_name(lab):
    """A host name that looks like a loopback address is none: no keys over plain HTTP, no open mode."""
    for settings in (("--auth", "jwt", "--jwks", "http://127.keys.example.com/"), ("--auth", "jwt", "--jwks", "http://127.0.0.example/"),
                     ("--listen", "127.0.0.1.example.com:0"), ("--listen", "127.0.0.example:0")):
        process = lab.spawn([lab.binary, "serve", *(() if "--listen" in settings else ("--listen", "127.0.0.1:0")), "--admin-listen", "off", *settings],
                            stdout=-3, stderr=-3)
        code = eventually(lambda: process.poll(), 5)
        lab.expect(code == 64, f"{' '.join(settings)}: {code}")
    lab.saw("4 names")
