"""A mail relay with one trick at a time, for tests/it/relays.rs: Python's own library only, on a free port of the loopback.

Public reports are about relays like these: one that greets late, one that insists on a name with a domain, one with a
certificate of a private authority. It tells lines of JSON on standard output, its port first, then what it heard ("c"), what it
said ("s") and the messages it accepted ("message"). A phase is the word of a command in lower case, or `greet` or `end`
(after the message).

    --cert FILE --key FILE    offers STARTTLS, or with --wrapped speaks TLS from the start
    --say PHASE=REPLY         answers this, always; `drop` closes the connection, `garbage` says what is no TLS and no SMTP
    --hold PHASE              answers only after a line on standard input
    --names                   accepts only names with a domain in EHLO
    --auth WORDS              what it offers behind AUTH
    --token TOKEN             the access token that is good now; a line `token TOKEN` on standard input sets another
"""

import argparse
import base64
import json
import re
import socket
import ssl
import sys
import threading

parser = argparse.ArgumentParser()
parser.add_argument("--cert")
parser.add_argument("--key")
parser.add_argument("--wrapped", action="store_true")
parser.add_argument("--say", action="append", default=[])
parser.add_argument("--hold", action="append", default=[])
parser.add_argument("--names", action="store_true")
parser.add_argument("--auth", default="")
parser.add_argument("--token", default="")
given = parser.parse_args()
says = dict(entry.split("=", 1) for entry in given.say)
token = given.token
released = threading.Event()
context = None
if given.cert:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(given.cert, given.key)


def tell(**what):
    print(json.dumps(what), flush=True)


class Closed(Exception):
    pass


class Session:
    def __init__(self, connection):
        self.encrypted = False
        self.use(connection)
        if given.wrapped:
            self.encrypt()

    def use(self, connection):
        self.connection = connection
        self.file = connection.makefile("rb")

    def encrypt(self):
        self.use(context.wrap_socket(self.connection, server_side=True))
        self.encrypted = True

    def say(self, phase, reply):
        if phase in given.hold:
            released.wait()
        reply = says.get(phase, reply)
        if reply == "drop":
            raise Closed
        if reply == "garbage":
            self.connection.sendall(b"\x00\x01\x02 what is this\r\n")
            raise Closed
        tell(s=reply)
        for line in reply.split("|"):
            self.connection.sendall(line.encode() + b"\r\n")
        return reply

    def hear(self):
        line = self.file.readline()
        if not line:
            raise Closed
        line = line.decode("utf8", "replace").rstrip("\r\n")
        tell(c=line)
        return line

    def serve(self):
        self.say("greet", "220 relay.example ESMTP")
        while True:
            line = self.hear()
            word, _, rest = line.partition(" ")
            step = getattr(self, word.split(":")[0].lower(), None)
            if step is None:
                self.say(word.lower(), "500 5.5.1 unknown command")
            elif step(rest):
                return

    def ehlo(self, name):
        if given.names and not re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", name):
            self.say("name", f"504 5.5.2 <{name}>: Helo command rejected: need fully-qualified hostname")
            return
        lines = ["relay.example"]
        if context and not self.encrypted:
            lines.append("STARTTLS")
        if given.auth:
            lines.append("AUTH " + given.auth)
        self.say("ehlo", "|".join(["250-" + line for line in lines[:-1]] + ["250 " + lines[-1]]))

    def helo(self, name):
        self.say("helo", "250 relay.example")

    def starttls(self, _):
        reply = self.say("starttls", "220 go")
        if "handshake" in says:
            self.connection.sendall(b"this is not TLS at all\r\n")
            raise Closed
        if reply.startswith("220"):
            self.encrypt()

    def auth(self, words):
        words = words.split(" ")
        if words[0] == "XOAUTH2":
            said = base64.b64decode(words[1]).decode()
            if said.endswith(f"auth=Bearer {token}\x01\x01"):
                self.say("auth", "235 2.7.0 accepted")
            else:
                error = json.dumps({"status": "401", "schemes": "bearer", "scope": "https://mail.example.com/"})
                self.say("challenge", "334 " + base64.b64encode(error.encode()).decode())
                self.hear()
                # Some relays repeat what they were sent.
                self.say("auth", f"535 5.7.8 not accepted: {words[1]}")
        elif words[0] == "LOGIN":
            for prompt in ["VXNlcm5hbWU6", "UGFzc3dvcmQ6"]:
                self.say("challenge", "334 " + prompt)
                self.hear()
            self.say("auth", "235 2.7.0 accepted")
        else:
            self.say("auth", "235 2.7.0 accepted")

    def mail(self, _):
        self.say("mail", "250 ok")

    def rcpt(self, _):
        self.say("rcpt", "250 ok")

    def rset(self, _):
        self.say("rset", "250 ok")

    def data(self, _):
        if not self.say("data", "354 go").startswith("354"):
            return
        message = b""
        while not message.endswith(b"\r\n.\r\n"):
            line = self.file.readline()
            if not line:
                raise Closed
            message += line
        tell(received=len(message))
        if self.say("end", "250 2.0.0 queued as 7").startswith("250"):
            tell(message=message.decode("utf8", "replace"))

    def quit(self, _):
        self.say("quit", "221 bye")
        return True


def serve(connection):
    try:
        Session(connection).serve()
    except (Closed, OSError, ssl.SSLError) as error:
        tell(end=repr(error))
    finally:
        connection.close()


def listen():
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


listener = socket.create_server(("127.0.0.1", 0))
tell(port=listener.getsockname()[1])
threading.Thread(target=listen, daemon=True).start()
for line in sys.stdin:
    word, _, rest = line.strip().partition(" ")
    if word == "token":
        token = rest
        tell(token=True)
    else:
        released.set()
