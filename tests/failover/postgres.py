"""PostgreSQL as two machines would run it: a primary and a synchronous standby."""
import os, pathlib, random, secrets, shutil, signal, subprocess, time

# PostgreSQL refuses to run as root.
AS_POSTGRES = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.geteuid() == 0 else []

# Timeout for anything that should work. Measures nothing.
PATIENCE = 60.0


class Node:
    """One server with its own data directory and port."""

    def __init__(self, programs, home, password):
        self.programs, self.home, self.password = programs, home, password
        self.data, self.log = home / "data", home / "log"
        self.port, self.process = None, None
        # The server's user creates everything in there, including its socket.
        home.mkdir(mode=0o700)
        if AS_POSTGRES:
            shutil.chown(home, "postgres", "postgres")

    def program(self, name, *arguments, **more):
        """Runs one of PostgreSQL's programs to its end and returns its output."""
        command = [*AS_POSTGRES, self.programs / name, *arguments]
        environment = {**os.environ, "PGPASSWORD": self.password}
        ended = subprocess.run([str(word) for word in command], cwd=self.home, env=environment, text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)
        if ended.returncode != 0:
            raise RuntimeError(f"{name} failed: {ended.stderr.strip() or ended.stdout.strip()}")
        return ended.stdout

    def sql(self, statement, database="postgres"):
        """The result of a statement, as plain text."""
        return self.program("psql", "--no-psqlrc", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1",
                            f"--host={self.home}", f"--port={self.port}", "--username=postgres", database,
                            "--command", statement).strip()

    def make(self):
        """A new, empty cluster. With fsync, as everything in this test."""
        secret = self.home / "password"
        secret.touch(mode=0o600)
        secret.write_text(self.password)
        if AS_POSTGRES:
            shutil.chown(secret, "postgres", "postgres")
        self.program("initdb", f"--pgdata={self.data}", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8",
                     "--auth=scram-sha-256", f"--pwfile={secret}")

    def copy_of(self, primary):
        """A standby of a running primary, by the name "standby"."""
        self.program("pg_basebackup", f"--pgdata={self.data}", "--write-recovery-conf", "--checkpoint=fast",
                     "--wal-method=stream", "--dbname",
                     f"host=127.0.0.1 port={primary.port} user=postgres application_name=standby")

    def start(self):
        """Starts the server on a free port; only the start itself shows whether it is free."""
        for _ in range(20):
            # Below the range of ephemeral ports.
            self.port = random.randrange(10_000, 32_000)
            if self._serves():
                return
            if "Address already in use" not in self.log.read_text():
                break
        raise RuntimeError(f"PostgreSQL does not start: {self.log.read_text()}")

    def _serves(self):
        command = [*AS_POSTGRES, self.programs / "postgres", "-D", self.data, "-p", str(self.port),
                   "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.home}"]
        with open(self.log, "w") as log:
            # In a separate session: Ctrl-C reaches this test, which then ends the server.
            self.process = subprocess.Popen([str(word) for word in command], cwd=self.home, start_new_session=True,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        ready = [str(self.programs / "pg_isready"), "--quiet", f"--host={self.home}", f"--port={self.port}"]
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < deadline:
            if subprocess.run(ready).returncode == 0:
                return True
            time.sleep(0.05)
        return False

    def replicate_to_standby(self):
        """From now on a commit is acknowledged when the standby has it on disk, too."""
        self.sql("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
        self.sql("SELECT pg_reload_conf()")
        deadline = time.monotonic() + PATIENCE
        while self.sql("SELECT sync_state FROM pg_stat_replication") != "sync":
            if time.monotonic() > deadline:
                raise RuntimeError("the standby does not become synchronous")
            time.sleep(0.05)

    def kill(self):
        """Kills all of its processes with SIGKILL, as a crash of the machine does."""
        server = self.process.pid
        os.kill(server, signal.SIGSTOP)  # no new ones while the list is read
        children = pathlib.Path(f"/proc/{server}/task/{server}/children").read_text().split()
        for process in [server, *map(int, children)]:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it had just ended by itself
        self.process.wait()

    def promote(self):
        """Makes a standby the primary; returns when it is."""
        self.program("pg_ctl", "promote", f"--pgdata={self.data}", "--wait", f"--timeout={int(PATIENCE)}")

    def stop(self):
        """Kills it if it runs; its data is not read again."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait()


class Pair:
    """The two servers and the database on them."""

    def __init__(self, programs, home):
        # The server's user traverses this to its own directories.
        home.chmod(0o711)
        password = secrets.token_hex(16)
        self.primary = Node(programs, home / "primary", password)
        self.standby = Node(programs, home / "standby", password)

    def start(self):
        self.primary.make()
        self.primary.start()
        self.standby.copy_of(self.primary)
        self.standby.start()
        # Only on the primary, after the copy: once promoted, the standby has no standby to wait for.
        self.primary.replicate_to_standby()
        self.user_password = secrets.token_hex(16)
        self.primary.sql(f"CREATE ROLE tenantry LOGIN PASSWORD '{self.user_password}'")
        self.primary.sql("CREATE DATABASE tenantry OWNER tenantry ENCODING 'UTF8'")

    def url(self):
        hosts = f"127.0.0.1:{self.primary.port},127.0.0.1:{self.standby.port}"
        return f"postgres://tenantry:{self.user_password}@{hosts}/tenantry?target_session_attrs=read-write"

    def stop(self):
        for node in (self.primary, self.standby):
            node.stop()
