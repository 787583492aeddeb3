#!/usr/bin/env python3
"""tests/gpu/profile.py on lines as Nsight Compute writes them, with sums that were counted by hand."""
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[1] / "profile.py"
HEAD = ('"ID","Process ID","Process Name","Host Name","Kernel Name","Context","Stream","Block Size","Grid Size","Device",'
        '"CC","Section Name","Metric Name","Metric Unit","Metric Value"')


def line(number, kernel, metric, unit, value):
    return (f'"{number}","7","dinf","127.0.0.1","{kernel}","1","7","(256, 1, 1)","(4, 1, 1)","0","9.0",'
            f'"Command line profiler metrics","{metric}","{unit}","{value}"')


def profile(lines):
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as f:
        f.write("\n".join(lines) + "\n")
        f.flush()
        return subprocess.run([sys.executable, str(PROGRAM), f.name], capture_output=True, text=True)


READ, WRITE, TIME = "dram__bytes_read.sum", "dram__bytes_write.sum", "gpu__time_duration.sum"
done = profile(["==PROF== Connected to process 7", HEAD,
                line(0, "void apply<halves8>(unsigned long, int)", READ, "Mbyte", "1,000"),
                line(0, "void apply<halves8>(unsigned long, int)", WRITE, "Kbyte", "500,000"),
                line(0, "void apply<halves8>(unsigned long, int)", TIME, "us", "1,500"),
                line(1, "adam(unsigned long)", TIME, "ns", "500,000"),
                line(2, "void apply<halves8>(unsigned long, int)", TIME, "ms", "2"),
                "==PROF== Disconnected"])
assert done.returncode == 0, done.stderr
rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in done.stdout.splitlines()[2:]]
assert rows == [["void apply<halves8>", "2", "3.500", "87.5 %", "1.000", "0.500", "0.43"],
                ["adam", "1", "0.500", "12.5 %", "0.000", "0.000", "0.00"],
                ["all", "3", "4.000", "", "", "", ""]], rows
done = profile(["==ERROR== ERR_NVGPUCTRPERM - no permission to read the counters"])
assert done.returncode == 1 and "no kernel in" in done.stderr, done
print("passed")
