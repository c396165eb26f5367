"""What locust itself says of response times: its own rounding, its own percentile function. Run in a process of its own.

Reads an array of milliseconds of shape (draws, n); prints the asked percentile of each draw as a JSON list.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def locust_percentiles(draws_ms: NDArray[np.float64], q: float) -> NDArray[np.float64]:
    """Return locust's *q* percentile of each row of *draws_ms*, in ms; importing locust would patch this process."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "draws.npy"
        np.save(path, draws_ms)
        command = [sys.executable, __file__, str(path), str(q)]
        return np.array(json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout))


def main() -> None:
    """Print the percentiles."""
    from locust.stats import bucket_response_time, calculate_response_time_percentile

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("draws", type=Path)
    parser.add_argument("q", type=float)
    options = parser.parse_args()
    draws = np.load(options.draws, mmap_mode="r")
    counted = (Counter(map(bucket_response_time, draw.tolist())) for draw in draws)
    print(json.dumps([calculate_response_time_percentile(counts, draws.shape[1], options.q) for counts in counted]))


if __name__ == "__main__":
    main()
