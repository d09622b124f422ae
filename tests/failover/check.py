"""Checks of the data after the failover, through the API and in the database itself."""
import collections, email, email.utils, time

from postgres import PATIENCE
from tenantry import Client

# The lease of messages, in seconds (crates/domain/src/outbox.rs).
LEASE = 300.0


def settle(load, servers, token, fail):
    """Repeats every unacknowledged create, as a client would, through the other process: it was stored and is a
    conflict, or it was not and is created now. Returns the number of each."""
    kept, made = 0, 0
    names = list(servers)
    for worker in load.workers:
        other = next(name for name in names if f"p{name}" != worker.server_name)
        client = Client(servers[other], token)
        for user in worker.users:
            if user.user_id is not None:
                continue
            answer = client.send("POST", "/api/v1/users/", user.body(0))
            if answer.status == 201:
                made += 1
                user.user_id = answer.body["userId"]
            elif answer.status == 409:
                kept += 1
            else:
                fail(f"a create that was answered 503 and is sent again: {answer.status} {answer.body}")
        client.close()
    return kept, made


def users(load, server, token, fail):
    """Every user exists once, with a possible value. Returns username → user as listed."""
    client = Client(server, token)
    listed = client.get("/api/v1/users/")
    total = client.get("/api/v1/users?page=0&pageSize=1")["total"]
    client.close()
    if total != len(listed):
        fail(f"the kept total is {total}, and {len(listed)} users are listed")
    for what in ("username", "userId"):
        for value, times in collections.Counter(user[what] for user in listed).items():
            if times > 1:
                fail(f"{what} {value} is listed {times} times")
    by_name = {user["username"]: user for user in listed}
    known = {user.username: user for user in load.users()}
    for name in by_name.keys() - known.keys() - {"admin"}:
        fail(f"nobody created {name}")
    for name, user in known.items():
        found = by_name.get(name)
        if found is None:
            fail(f"{name} is lost, though its create was acknowledged")
            continue
        if user.user_id not in (None, found["userId"]):
            fail(f"{name} was created as {user.user_id} and is {found['userId']}")
        possible = user.possible()
        if not any(user.body(number).items() <= found.items() for number in possible):
            fail(f"{name} has to be as after update {' or '.join(map(str, sorted(possible)))}, and is {found}")
    return by_name


def events(load, listed, server, token, fail):
    """Every change has exactly one event, and every event a change. Returns their number."""
    client = Client(server, token)
    rows = client.every_page("/api/v1/events?type=user.created&type=user.updated&page=0&pageSize=1000")
    client.close()
    for number, times in collections.Counter(row["eventId"] for row in rows).items():
        if times > 1:
            fail(f"event {number} is listed {times} times")
    created = collections.Counter(row["userId"] for row in rows if row["type"] == "user.created")
    changed = collections.defaultdict(list)
    for row in rows:
        if row["type"] == "user.updated":
            changed[row["userId"]].append(int(row["after"]["title"]))
    for user in load.users():
        if user.username not in listed:
            continue  # told already
        user_id = listed[user.username]["userId"]
        if created.pop(user_id, 0) != 1:
            fail(f"{user.username} does not have exactly one event of its creation")
        numbers = changed.pop(user_id, [])
        if len(set(numbers)) != len(numbers):
            fail(f"{user.username} has an update twice: {sorted(numbers)}")
        acknowledged = set(range(1, user.last_sent + 1)) - set(user.in_doubt)
        if not acknowledged <= set(numbers) <= acknowledged | set(user.in_doubt):
            fail(f"{user.username} has events of the updates {sorted(numbers)}, acknowledged were "
                 f"{sorted(acknowledged)}, in doubt {user.in_doubt}")
    admin = listed.get("admin", {}).get("userId")
    for user_id in (created.keys() | changed.keys()) - {admin}:
        fail(f"there are events of user {user_id}, who is not there")
    return len(rows)


def messages(load, servers, node, killed, returned, fail):
    """Every user got one mail. Mail that was delivered when the primary died, and not recorded yet, may be delivered
    again: `killed` and `returned` are the wall-clock times around that. Returns the number of messages, and how many
    came twice."""
    # Messages that a process leased while the primary died, without the acknowledgement, are sent by another one after
    # the lease.
    deadline = time.monotonic() + LEASE + PATIENCE
    while node.sql("SELECT count(*) FROM outbox WHERE letter IS NOT NULL", "tenantry") != "0":
        if time.monotonic() > deadline:
            fail("there are messages that no process delivers")
            break
        time.sleep(0.1)
    # The name of a file is derived from the outbox row.
    copies = collections.defaultdict(list)
    for server in servers.values():
        for file in (server.home / "data" / "mail").glob("*.eml"):
            copies[file.name].append(file)
    messages_to, twice = collections.Counter(), 0
    for name, files in copies.items():
        message = email.message_from_bytes(files[0].read_bytes())
        messages_to[email.utils.parseaddr(message["To"])[1]] += 1
        if len(files) > 1:
            twice += 1
            if not killed - 3 <= min(file.stat().st_mtime for file in files) <= returned:
                fail(f"the letter {name} to {message['To']} was delivered by both processes")
    for user in load.users():
        if (number := messages_to[f"{user.username}@example.com"]) != 1:
            fail(f"{user.username} got {number} messages")
    return len(copies), twice
