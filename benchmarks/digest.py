"""The digest of a model's files beside `sha256sum` and model-signing: 5 GB in five files, and 5 GB in one.

Goal: at least as fast as each of them on several files; on one file at least 0.95 times (noise), because one sha256 is a chain
that no second core can shorten. All of them on the same two cores, from the page cache, in turns; the ratio of a turn is their
seconds over ours, and what they compute is compared. Beside it the processor seconds for 1 GB, which do not depend on what
else runs, and ours a second time: what is between the two is noise. Run it where nothing else runs. Without a goal, because each answers something else: model-signing by shards
(another digest: of pieces of 1 GB) and `openssl dgst` (one core's sha256 with its SHA extensions).
"""

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parent))
from machine import finish, spread

GB = 1_000_000_000
CORES = 2
GOALS = {"several": 1.0, "one": 0.95}
# It imports pyOpenSSL, and does not require it.
MODEL_SIGNING = ("model-signing==1.1.1", "pyopenssl==26.4.0")
OURS = "from mlgate.artifacts.directory import digest_files as d, walk\nfound = [f.sha256 for f in d(root, walk(root))]"
BY_FILE = "found = [f.digest.digest_hex for f in hashing.hash(root).resource_descriptors()]"
BY_SHARD = "found = [f.digest.digest_hex for f in hashing.Config().use_shard_serialization().hash(root).resource_descriptors()]"
TIMED = """
import json, sys, time
from pathlib import Path
{imports}
root = Path(sys.argv[1])
wall, busy = time.perf_counter(), time.process_time()
{work}
print(json.dumps([time.perf_counter() - wall, time.process_time() - busy, found]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One digest of a folder: seconds that passed, processor seconds (user and system), the sha256 of the files."""

    seconds: float
    busy_s: float
    found: frozenset[str]


def python(interpreter: Path | str, imports: str, work: str) -> Callable[[Path], Turn]:
    """Return what digests a folder in a Python process of its own; its start and its imports do not count."""

    def take(folder: Path) -> Turn:
        code = TIMED.format(imports=imports, work=work)
        done = subprocess.run([interpreter, "-c", code, folder], check=True, capture_output=True, text=True)
        seconds, busy, found = json.loads(done.stdout)
        return Turn(seconds=seconds, busy_s=busy, found=frozenset(found))

    return take


def command(*words: str) -> Callable[[Path], Turn]:
    """Return what digests a folder's files by a command, as many at once as there are cores."""

    def take(folder: Path) -> Turn:
        files = "\0".join(str(path) for path in sorted(folder.iterdir()))
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.perf_counter()
        several = ["xargs", "-0", "-n1", f"-P{CORES}", *words]
        done = subprocess.run(several, input=files, check=True, capture_output=True, text=True)
        seconds = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        busy = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
        return Turn(seconds=seconds, busy_s=busy, found=frozenset(re.findall(r"\b[0-9a-f]{64}\b", done.stdout)))

    return take


def contenders(folder: Path) -> dict[str, Callable[[Path], Turn]]:
    """Return who digests, ours first; model-signing is installed into an environment below *folder*."""
    uv = [sys.executable, "-m", "uv"]
    peer = folder / "peer/bin/python"
    subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, folder / "peer"], check=True)
    subprocess.run([*uv, "pip", "install", "--quiet", "--python", peer, *MODEL_SIGNING], check=True)
    imports = "from model_signing import hashing"
    found = {
        "mlgate": python(sys.executable, "import mlgate.artifacts.directory", OURS),
        "sha256sum": command("sha256sum"),
        "model-signing": python(peer, imports, BY_FILE),
        "mlgate again": python(sys.executable, "import mlgate.artifacts.directory", OURS),
        "model-signing by shards": python(peer, imports, BY_SHARD),
    }
    return found | ({"openssl dgst": command("openssl", "dgst", "-sha256")} if shutil.which("openssl") else {})


def generate(folder: Path, sizes: list[int]) -> None:
    """Write files of so many bytes, no two alike."""
    folder.mkdir()
    block = os.urandom(GB // 100)
    for number, size in enumerate(sizes):
        with (folder / f"weights-{number}.bin").open("wb") as file:
            file.write(os.urandom(16))
            while left := size - file.tell():
                file.write(block[:left])
            # Writing back while it is measured would cost the first ones.
            os.fsync(file.fileno())


def measure(folder: Path, who: dict[str, Callable[[Path], Turn]], rounds: int) -> dict[str, list[Turn]]:
    """Let everybody digest *folder* in turns; the first round, which also warms the page cache, does not count."""
    turns: dict[str, list[Turn]] = {name: [] for name in who}
    for number in range(rounds + 1):
        # There and back, so that nobody always comes after the slowest.
        for name, take in list(who.items())[:: -1 if number % 2 else 1]:
            turn = take(folder)
            if number:
                turns[name].append(turn)
    ours = turns["mlgate"][0].found
    for name, taken in turns.items():
        if name != "model-signing by shards" and any(turn.found != ours for turn in taken):
            sys.exit(f"{name} computes another sha256 than mlgate")
    return turns


def show(title: str, size: int, turns: dict[str, list[Turn]]) -> dict[str, dict[str, float]]:
    """Print a table of one folder; return speed in GB/s, ratio to ours and cores used of each, medians of the turns."""
    print(f"\n{title}\n{'':26}{'GB/s':>24}{'ours over it':>24}{'cores':>7}{'CPU s/GB':>10}")
    found = {}
    for name, taken in turns.items():
        speeds = [size / GB / turn.seconds for turn in taken]
        ratios = [turn.seconds / ours.seconds for turn, ours in zip(taken, turns["mlgate"], strict=True)]
        cores = median(turn.busy_s / turn.seconds for turn in taken)
        busy = median(turn.busy_s * GB / size for turn in taken)
        print(f"{name:26}{spread(speeds, digits=2):>24}{spread(ratios, digits=2):>24}{cores:>7.2f}{busy:>10.2f}")
        found[name] = {
            "gb_per_s": round(median(speeds), 3),
            "ratio": round(median(ratios), 3),
            "cores": round(cores, 2),
            "cpu_s_per_gb": round(busy, 3),
        }
    return found


def require_space(folder: Path, size: int) -> None:
    """Stop where the disk or the page cache can not hold what is digested."""
    free = shutil.disk_usage(folder).free
    if free < size + GB:
        sys.exit(f"{folder} has {free / GB:.1f} GB free < {(size + GB) / GB:.1f} GB. Hint: set TMPDIR, or use --quick")
    lines = Path("/proc/meminfo").read_text().splitlines()
    memory = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    if memory < size + GB // 2:
        sys.exit(
            f"{memory / GB:.1f} GB of memory do not hold {size / GB:.1f} GB of files as page cache. Hint: use --quick"
        )


def main() -> int:
    """Measure both folders, print, return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1 GB instead of 5, three turns instead of nine")
    quick = parser.parse_args().quick
    size, rounds = (GB, 3) if quick else (5 * GB, 9)
    cores = sorted(os.sched_getaffinity(0))[:CORES]
    if len(cores) < CORES:
        sys.exit(f"{len(cores)} core(s) < {CORES}: there is nothing to do in parallel")
    os.sched_setaffinity(0, cores)
    results = {}
    with tempfile.TemporaryDirectory(prefix="mlgate-bench-") as name:
        folder = Path(name)
        require_space(folder, size)
        who = contenders(folder)
        for scene, sizes in {"several": [size // 5] * 5, "one": [size]}.items():
            generate(folder / scene, sizes)
            title = f"{len(sizes)} files of {sizes[0] / GB:g} GB" if len(sizes) > 1 else f"one file of {size / GB:g} GB"
            results[scene] = show(title, size, measure(folder / scene, who, rounds))
            shutil.rmtree(folder / scene)
    judged = {
        (scene, peer): results[scene][peer]["ratio"] for scene in GOALS for peer in ("sha256sum", "model-signing")
    }
    reached = all(ratio >= GOALS[scene] for (scene, _), ratio in judged.items())
    worst = min(ratio for (scene, _), ratio in judged.items() if scene == "several")
    goal = "at least as fast as sha256sum and model-signing on several files, 0.95 times on one"
    return finish("digest", ratio=worst, goal=goal, n=rounds, reached=reached, gb=size / GB, **results)


if __name__ == "__main__":
    sys.exit(main())
