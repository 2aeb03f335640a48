#!/usr/bin/env python3
"""Certified fits: the oracle behind tests/oracle/strd.txt.

The Statistical Reference Datasets of NIST/ITL for nonlinear regression (in the public domain,
https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml) have parameters and standard deviations that were computed with 128
bits and certified to 11 digits. From the folder with the files as NIST distributes them:

    python tests/oracle/strd.py FOLDER > tests/oracle/strd.txt

A block is the name, the model, the two starts, the certified parameters, their standard deviations, the residual standard
deviation, and the data, y before x.
"""

import re
import sys
from pathlib import Path

NAMES = """Misra1a Misra1b Misra1c Misra1d Chwirut2 DanWood Lanczos1 Lanczos2 Lanczos3 MGH09 MGH10 MGH17 Thurber Rat42 Rat43
    Eckerle4 BoxBOD Roszman1 Bennett5 ENSO Hahn1 Kirby2""".split()


def main():
    print("# Made by tests/oracle/strd.py from NIST's Statistical Reference Datasets")
    for name in NAMES:
        text = (Path(sys.argv[1]) / f"{name}.dat").read_text(encoding="latin-1")
        rows = re.findall(r"^\s*b\d+\s*=\s*(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s*$", text, re.M)
        deviation = re.search(r"Residual Standard Deviation:\s*(\S+)", text)[1]
        count = int(re.search(r"Number of Observations:\s*(\d+)", text)[1])
        model = re.search(r"^ *(y\s*=[\s\S]*?)\+\s*e\s*$", text, re.M)[1]
        data = [line.split() for line in text[text.rindex("Data:") :].splitlines()[1:] if line.strip()]
        assert len(data) == count and all(len(row) == 2 for row in data), name
        print(f"\n{name}: {' '.join(model.split())}")
        for title, column in zip(["start", "start", "certified", "deviation"], zip(*rows)):
            print(title, *column)
        print("residual", deviation)
        for row in data:
            print(*row)


if __name__ == "__main__":
    main()
