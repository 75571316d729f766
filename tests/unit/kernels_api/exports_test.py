"""The shared library exports what the header declares, and nothing else.

usage: exports_test.py LIBRARY HEADER NM
"""

import re
import subprocess
import sys


def main():
    library, header, nm = sys.argv[1:]
    text = open(header, encoding="utf-8").read()
    declared = set(re.findall(r"LAMPLIGHT_API[^;(]*?(lamplight_\w+)\s*\(", text))
    listing = subprocess.run([nm, "-D", "--defined-only", library], check=True, text=True,
                             stdout=subprocess.PIPE).stdout
    exported = {line.split()[-1] for line in listing.splitlines()}
    assert len(declared) > 10, "the header's functions were not recognised"
    missing, extra = sorted(declared - exported), sorted(exported - declared)
    if missing or extra:
        sys.exit(f"declared and not exported: {missing}\nexported and not declared: {extra}")


main()
