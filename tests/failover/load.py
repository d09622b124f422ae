"""Workers that create and update users, and a ledger of the responses."""
import collections, dataclasses, threading, time

from tenantry import Client, NoAnswer

# How long a worker waits after a 503. Shorter than Retry-After, to measure when service returns.
PAUSE = 0.05


@dataclasses.dataclass
class User:
    """The state of one user, as known to its worker. Only that worker changes it."""

    username: str
    user_id: int | None = None  # set when the create was acknowledged
    acknowledged: int = 0  # the last update that was; 0 is the create itself
    # All unacknowledged updates: each may have been written or not.
    in_doubt: list = dataclasses.field(default_factory=list)
    last_sent: int = 0

    def body(self, number):
        """The user after this update. Every changed field contains its number: all or none must be there."""
        return {
            "username": self.username, "status": "ACTIVE", "firstName": f"First {number}",
            "lastName": f"Last {number}", "email": f"{self.username}@example.com", "title": str(number),
            "phoneNumber": f"+31 {self.username}",
        }

    def possible(self):
        """The possible final updates: the last acknowledged one, or a later one that is in doubt."""
        return {self.acknowledged, *(number for number in self.in_doubt if number > self.acknowledged)}


class Worker(threading.Thread):
    """Creates users and updates its own, one request at a time, through one process."""

    def __init__(self, name, server, token, stop):
        super().__init__(name=name, daemon=True)
        self.server_name = name.split("-")[0]
        self.client, self.stop = Client(server, token), stop
        self.users = []
        self.acknowledged = []  # (kind, ended), in order
        self.refused = []  # the 503s, as answers
        self.faults = []  # what may never happen, in words

    def run(self):
        try:
            while not self.stop.is_set():
                self.create(User(f"{self.name}-{len(self.users)}"))
                for user in self.users[-3:]:
                    if user.user_id is not None and not self.stop.is_set():
                        self.update(user)
        except Exception as error:  # a worker that dies unseen would make the test pass
            self.faults.append(f"worker {self.name} failed: {error!r}")
        finally:
            self.client.close()

    def create(self, user):
        self.users.append(user)
        answer = self.send("create", "POST", "/api/v1/users/", user.body(0), 201)
        if answer:
            user.user_id = answer.body["userId"]

    def update(self, user):
        user.last_sent += 1
        number = user.last_sent
        # In doubt until there is a response.
        user.in_doubt.append(number)
        if self.send("update", "PUT", f"/api/v1/users/{user.user_id}", user.body(number), 200):
            user.acknowledged = number
            user.in_doubt.remove(number)

    def send(self, kind, method, path, body, success):
        """The response if it is the acknowledgement, else None."""
        try:
            answer = self.client.send(method, path, body)
        except NoAnswer as error:
            self.faults.append(str(error))
            time.sleep(PAUSE)
            return None
        if answer.status == success:
            self.acknowledged.append((kind, answer.ended))
            return answer
        if answer.status != 503:
            self.faults.append(f"{method} {path} answered {answer.status}: {answer.body}")
        elif not (answer.retry_after or "").isdigit():
            self.faults.append(f"{method} {path} answered 503 with Retry-After {answer.retry_after!r}")
        else:
            self.refused.append(answer)
        time.sleep(PAUSE)
        return None


class Load:
    """All workers, the same number through each process."""

    def __init__(self, servers, token, workers_each):
        self.stop = threading.Event()
        self.workers = [Worker(f"p{process}-w{number}", server, token, self.stop)
                        for process, server in servers.items() for number in range(workers_each)]

    def start(self):
        for worker in self.workers:
            worker.start()

    def end(self):
        """Lets every worker finish its request."""
        self.stop.set()
        for worker in self.workers:
            if worker.ident:
                worker.join()

    def counts(self, since=0.0, until=float("inf")):
        """How many creates and updates were acknowledged in this time."""
        counter = collections.Counter(kind for worker in self.workers for kind, ended in list(worker.acknowledged)
                                      if since <= ended < until)
        return counter["create"], counter["update"]

    def first_after(self, moment):
        """When each process first acknowledged a create, and an update, after this time; the later of the two, or None."""
        found = {}
        for worker in self.workers:
            for kind, ended in list(worker.acknowledged):
                if ended >= moment:
                    key = (worker.server_name, kind)
                    found[key] = min(ended, found.get(key, ended))
        names = sorted({worker.server_name for worker in self.workers})
        moments = {name: [found.get((name, kind)) for kind in ("create", "update")] for name in names}
        return {name: None if None in both else max(both) for name, both in moments.items()}

    def refused(self):
        return [answer for worker in self.workers for answer in list(worker.refused)]

    def faults(self):
        return [fault for worker in self.workers for fault in list(worker.faults)]

    def users(self):
        return [user for worker in self.workers for user in worker.users]
