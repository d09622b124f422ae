"""A real SMTP server for tests/it/mail.rs: aiosmtpd, on a free port of the loopback.

It tells everything as lines of JSON on standard output: its port first, then each message with the answer that it
gave to it. It does what the lines on standard input say, and ends when that does:

    up             begins to listen; until then connections are refused
    answer REPLY   what the next message is answered, such as "451 later"; "drop" takes it and breaks the line
    greet REPLY    what the next EHLO is answered
    mark           tells {"mark": true}: everything before has been told
"""

import asyncio
import email
import email.policy
import json
import socket
import sys

from aiosmtpd.smtp import SMTP

answers = []
greetings = []


def tell(**what):
    print(json.dumps(what), flush=True)


class Handler:
    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        if greetings:
            return [greetings.pop(0)]
        session.host_name = hostname
        return responses

    async def handle_DATA(self, server, session, envelope):
        answer = answers.pop(0) if answers else "250 taken"
        message = email.message_from_bytes(envelope.original_content, policy=email.policy.default)
        tell(
            answer=answer,
            sender=envelope.mail_from,
            recipients=envelope.rcpt_tos,
            raw=envelope.original_content.decode("utf-8"),
            headers={name: str(value) for name, value in message.items()},
            name=message["To"].addresses[0].display_name,
            text=message.get_body(("plain",)).get_content(),
            html=message.get_body(("html",)).get_content(),
        )
        if answer == "drop":
            server.transport.abort()
        return answer


async def main():
    loop = asyncio.get_running_loop()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    tell(port=listener.getsockname()[1])
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    server = None
    while line := (await commands.readline()).decode().strip():
        word, _, rest = line.partition(" ")
        if word == "up":
            server = await loop.create_server(lambda: SMTP(Handler(), hostname="tests"), sock=listener)
            tell(up=True)
        elif word == "answer":
            answers.append(rest)
        elif word == "greet":
            greetings.append(rest)
        elif word == "mark":
            tell(mark=True)
    if server:
        server.close()


asyncio.run(main())
