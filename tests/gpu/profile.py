#!/usr/bin/env python3
"""A profile of Nsight Compute as a table by kernel: time, share, launches, bytes from and to memory.

    tests/gpu/profile.py FILE.csv

FILE is what `ncu --csv --metrics gpu__time_duration.sum,dram__bytes_read.sum,dram__bytes_write.sum` logged. Exit
status 1 if there is no kernel in it.
"""
import csv
import re
import sys

SCALE = {"ns": 1e-9, "nsecond": 1e-9, "us": 1e-6, "usecond": 1e-6, "ms": 1e-3, "msecond": 1e-3, "s": 1, "second": 1,
         "byte": 1, "Kbyte": 1e3, "Mbyte": 1e6, "Gbyte": 1e9}
TIME, READ, WRITE = "gpu__time_duration.sum", "dram__bytes_read.sum", "dram__bytes_write.sum"


def kernels(lines):
    """{name: [launches, {metric: sum}]} in SI units; lines that are not of the table are passed over."""
    out, seen = {}, set()
    for row in csv.DictReader(line for line in lines if line.startswith('"')):
        kernel = out.setdefault(re.sub(r"\([^()]*\)$", "", row["Kernel Name"]), [0, {TIME: 0.0, READ: 0.0, WRITE: 0.0}])
        if row["ID"] not in seen:
            seen.add(row["ID"])
            kernel[0] += 1
        if row["Metric Name"] in kernel[1]:
            kernel[1][row["Metric Name"]] += float(row["Metric Value"].replace(",", "")) * SCALE[row["Metric Unit"]]
    return out


def main():
    with open(sys.argv[1], encoding="utf-8", errors="replace") as f:
        found = kernels(f)
    whole = sum(sums[TIME] for _, sums in found.values())
    if not whole:
        sys.exit(f"error: no kernel in {sys.argv[1]}")
    print("| kernel | launches | ms | share | GB read | GB written | TB/s |\n|---|---:|---:|---:|---:|---:|---:|")
    for name, (n, sums) in sorted(found.items(), key=lambda item: -item[1][1][TIME]):
        rate = (sums[READ] + sums[WRITE]) / sums[TIME] / 1e12 if sums[TIME] else 0
        print(f"| {name} | {n} | {1e3 * sums[TIME]:.3f} | {100 * sums[TIME] / whole:.1f} % | {sums[READ] / 1e9:.3f} "
              f"| {sums[WRITE] / 1e9:.3f} | {rate:.2f} |")
    print(f"| all | {sum(n for n, _ in found.values())} | {1e3 * whole:.3f} | | | | |")


if __name__ == "__main__":
    main()
