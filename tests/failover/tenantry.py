"""A Tenantry process, and a client that records the outcome of every request."""
import dataclasses, http.client, json, os, queue, secrets, signal, subprocess, threading, time, urllib.parse

# Timeout for every request, whatever the database does. Longer than the server's own limit for a request that waits
# for the database, and far shorter than a client that hangs.
REQUEST_BOUND = 15.0

ADMIN_PASSWORD = f"Failover.Tea-Cup-{secrets.token_hex(4)}"


class Server:
    """One process on the database, with its own data directory."""

    def __init__(self, binary, home, database_url):
        self.home = home
        home.mkdir()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TENANTRY_")}
        # By the environment, since other users of this machine can read command lines.
        environment |= {"TENANTRY_DATABASE_URL": database_url, "TENANTRY_ADMIN_PASSWORD": ADMIN_PASSWORD}
        self.log = home / "log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [str(binary), "serve", "--data-dir", str(home / "data"), "--listen", "127.0.0.1:0"],
                cwd=home, env=environment, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        self._printed = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.address = None

    def _read(self):
        for line in self.process.stdout:
            self._printed.put(line.rstrip("\n"))
        self._printed.put(None)

    def wait_until_it_serves(self, patience=60.0):
        deadline = time.monotonic() + patience
        while self.address is None:
            try:
                line = self._printed.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise RuntimeError("Tenantry neither serves nor ends")
            if line is None:
                raise RuntimeError(f"Tenantry does not start: {self.log.read_text()}")
            if line.startswith("API:"):
                self.address = urllib.parse.urlsplit(line.split()[-1]).netloc.replace("localhost", "127.0.0.1")

    def stop(self):
        """Stops it and returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise RuntimeError("Tenantry does not end when it is asked to")


@dataclasses.dataclass
class Answer:
    begun: float  # time.monotonic()
    ended: float
    status: int
    retry_after: str | None
    body: object
    links: str | None = None


class NoAnswer(Exception):
    """A request ended without a response, which must never happen."""


class Client:
    """A client with one keep-alive connection, for one thread."""

    def __init__(self, server, token=None):
        self.server, self.token = server, token
        self.connection = http.client.HTTPConnection(server.address, timeout=REQUEST_BOUND)

    def send(self, method, path, body=None, form=None):
        headers, content = {}, None
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            headers["Content-Type"], content = "application/json", json.dumps(body).encode()
        if form is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            content = urllib.parse.urlencode(form).encode()
        begun = time.monotonic()
        try:
            self.connection.request(method, path, content, headers)
            response = self.connection.getresponse()
            text = response.read()
        except TimeoutError:
            self.connection.close()
            raise NoAnswer(f"{method} {path} hung for {REQUEST_BOUND:.0f} s")
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            raise NoAnswer(f"{method} {path} broke off after {time.monotonic() - begun:.1f} s: {error!r}")
        ended = time.monotonic()
        is_json = "json" in response.headers.get("Content-Type", "")
        return Answer(begun, ended, response.status, response.headers.get("Retry-After"),
                      json.loads(text) if is_json else text.decode(), response.headers.get("Link"))

    def get(self, path):
        """The response to a request for an existing resource."""
        answer = self.send("GET", path)
        if answer.status != 200:
            raise RuntimeError(f"GET {path} answered {answer.status}: {answer.body}")
        return answer.body

    def every_page(self, path):
        """All rows of a paginated list."""
        rows = []
        while path:
            answer = self.send("GET", path)
            if answer.status != 200:
                raise RuntimeError(f"GET {path} answered {answer.status}: {answer.body}")
            rows += answer.body["list"]
            # <...>; rel="next", on every page but the last.
            path = answer.links[1:answer.links.index(">")] if answer.links else None
        return rows

    def close(self):
        self.connection.close()


def token_request(server, **form):
    """The response to a token request of the public client."""
    client = Client(server)
    try:
        return client.send("POST", "/oauth/token", form={"client_id": "tenantry", **form})
    finally:
        client.close()


def log_in(server):
    """The admin's tokens."""
    answer = token_request(server, grant_type="password", username="admin", password=ADMIN_PASSWORD)
    if answer.status != 200:
        raise RuntimeError(f"the admin cannot log in: {answer.status} {answer.body}")
    return answer.body
