#!/usr/bin/env python3
"""A PostgreSQL primary dies under load and its synchronous standby takes over; see scripts/test-failover.

The order of events:
  1. a primary, a synchronous standby and two Tenantry processes start; an admin logs in once
  2. workers create and update users through both processes, until each has done enough
  3. the primary is killed with SIGKILL; until the promotion, everything that needs the database is answered 503
  4. the standby is promoted; both processes have to serve again by themselves within RETURN_WITHIN
  5. the load goes on until that time is over and some more is done, and from then on nothing may be refused
  6. all that was acknowledged has to be there, once; every letter is delivered
"""
import argparse, contextlib, pathlib, shutil, signal, sys, tempfile, time

import check
from load import Load, User
from postgres import Pair, PATIENCE
from tenantry import Client, NoAnswer, Server, log_in, token_request

WORKERS_EACH = 4
# Creates and updates acknowledged before the kill, and after the promotion.
ENOUGH = 300
# Seconds from the promotion until both processes serve again: the limit that this test checks.
RETURN_WITHIN = 5.0


class Failed(Exception):
    """The reason in words."""


def wait_for(what, look, patience=PATIENCE, load=None):
    """Polls until there is a result."""
    deadline = time.monotonic() + patience
    while not (found := look()):
        if load and load.faults():
            raise Failed(f"while waiting until {what}: {load.faults()[0]}")
        if time.monotonic() > deadline:
            raise Failed(f"not within {patience:.0f} s: {what}")
        time.sleep(0.02)
    return found


def refuses(client, method, path, body=None):
    """Whether the response is 503 with Retry-After. A success is no error as long as the cache from before the kill may
    still be used; anything else is."""
    answer = client.send(method, path, body)
    if answer.status == 503 and (answer.retry_after or "").isdigit():
        return True
    if answer.status in (200, 201) and method == "GET":
        return False
    raise Failed(f"{method} {path} without a primary: {answer.status}, Retry-After {answer.retry_after}, {answer.body}")


def look_at_the_gap(servers, token, user_id):
    """Without a primary, both processes stay alive and refuse everything that needs the database, with Retry-After."""
    for name, server in servers.items():
        client = Client(server, token)
        if (status := client.send("GET", "/healthz").status) != 200:
            raise Failed(f"process {name}: /healthz answers {status} without a primary")
        for method, path, content in (
            # This one cannot be stored: at the end it would be an unexpected user.
            ("POST", "/api/v1/users/", User(f"gap-{name}").body(0)),
            ("GET", "/api/v1/users?page=0&pageSize=1", None),
            # A cached user may be served until the lease of the cache ends.
            ("GET", f"/api/v1/users/{user_id}", None),
            ("GET", "/readyz", None),
        ):
            wait_for(f"process {name} refuses {method} {path}", lambda: refuses(client, method, path, content))
        client.close()


def failover(options, home, stack, say):
    pair = Pair(options.postgres, home)
    stack.callback(pair.stop)
    pair.start()
    # Both at once: one of them creates the tables and the admin, the other waits for it.
    servers = {name: Server(options.tenantry, home / f"tenantry-{name}", pair.url()) for name in ("1", "2")}
    for server in servers.values():
        stack.callback(server.stop)
        server.wait_until_it_serves()
    # One session, opened first and through one process, is used through both to the end.
    session = log_in(servers["1"])
    token = session["access_token"]

    load = Load(servers, token, WORKERS_EACH)
    stack.callback(load.end)
    load.start()
    wait_for("enough is written", lambda: min(load.counts()) >= ENOUGH, load=load)
    known = next(user for user in load.users() if user.user_id is not None)

    killed = time.monotonic()
    pair.primary.kill()
    wait_for("every worker was refused", lambda: all(w.refused or w.faults for w in load.workers), load=load)
    look_at_the_gap(servers, token, known.user_id)

    began = time.monotonic()
    pair.standby.promote()
    promoted = time.monotonic()
    returned = wait_for("both processes serve again", lambda: all((found := load.first_after(promoted)).values()) and found,
                        load=load)
    wait_for("the time for the return is over", lambda: time.monotonic() > promoted + RETURN_WITHIN, load=load)
    settled = time.monotonic()
    wait_for("enough is written again", lambda: min(load.counts(since=settled)) >= ENOUGH, load=load)
    load.end()

    faults = load.faults()
    for name, moment in returned.items():
        if moment - promoted > RETURN_WITHIN:
            faults.append(f"process {name[1:]} served again only {moment - promoted:.2f} s after the promotion")
    for answer in load.refused():
        if answer.begun < killed and answer.ended < killed:
            faults.append("a request was refused before the primary was killed")
        if answer.begun > promoted + RETURN_WITHIN:
            faults.append(f"a request was refused {answer.begun - promoted:.2f} s after the promotion")
    report(say, load, killed, began, promoted, returned)
    wall = time.time() - time.monotonic()
    around = killed + wall, max(returned.values()) + wall
    verify(pair, servers, session, load, around, faults, say)
    for name, server in servers.items():
        if (code := server.stop()) != 0:
            faults.append(f"process {name} ended with {code} when it was asked to end")
    if faults:
        shown = "\n  ".join(faults[:20])
        raise Failed(f"{len(faults)} fault(s):\n  {shown}")


def report(say, load, killed, began, promoted, returned):
    before, after = load.counts(until=killed), load.counts(since=promoted)
    slowest = max(answer.ended - answer.begun for answer in load.refused())
    say(f"before the kill: {before[0]} creates and {before[1]} updates acknowledged")
    say(f"no primary for {promoted - killed:.1f} s (promotion {promoted - began:.2f} s): {len(load.refused())} requests "
        f"answered 503, the slowest after {slowest:.2f} s")
    moments = " and ".join(f"{moment - promoted:.2f} s" for moment in returned.values())
    say(f"service back through both processes {moments} after the promotion (bound {RETURN_WITHIN:.0f} s)")
    say(f"after the promotion: {after[0]} creates and {after[1]} updates acknowledged")


def verify(pair, servers, session, load, around, faults, say):
    """Everything about the data, through both processes."""
    token, fail = session["access_token"], faults.append
    acknowledged = sum(user.user_id is not None for user in load.users())
    kept, made = check.settle(load, servers, token, fail)
    for server in servers.values():
        listed = check.users(load, server, token, fail)
        number = check.events(load, listed, server, token, fail)
    messages, twice = check.messages(load, servers, pair.standby, *around, fail)
    renewed = token_request(servers["2"], grant_type="refresh_token", refresh_token=session["refresh_token"])
    if renewed.status != 200:
        fail(f"the session's refresh token is refused: {renewed.status} {renewed.body}")
    say(f"all {acknowledged} acknowledged users are there once, with {number} events; of {kept + made} creates in doubt "
        f"{kept} had been kept; the session from before goes on")
    say(f"{messages} messages are delivered, {twice} of them twice")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenantry", type=pathlib.Path, required=True, help="the binary")
    parser.add_argument("--postgres", type=pathlib.Path, required=True, help="the directory of PostgreSQL's programs")
    parser.add_argument("--keep", action="store_true", help="leave the directory with data and logs")
    options = parser.parse_args()
    # SIGTERM unwinds as Ctrl-C does, so that everything is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    home = pathlib.Path(tempfile.mkdtemp(prefix="tenantry-failover-"))
    say = lambda text: print(f"failover: {text}", flush=True)
    try:
        with contextlib.ExitStack() as stack:
            failover(options, home, stack, say)
    except (Failed, NoAnswer, RuntimeError) as error:
        print(f"failover: FAILED: {error}", file=sys.stderr)
        for log in sorted(home.glob("*/log")):
            lines = log.read_text(errors="replace").splitlines()[-15:]
            print(f"--- {log.parent.name}", *lines, sep="\n", file=sys.stderr)
        sys.exit(1)
    finally:
        if options.keep:
            say(f"data and logs are in {home}")
        else:
            shutil.rmtree(home)
    say("passed")


if __name__ == "__main__":
    main()
