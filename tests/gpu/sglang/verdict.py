#!/usr/bin/env python3
"""Does a report say of a run of push_plane.py what it must? verdict.py REPORT.json CLASS STATUS

CLASS is that of the hang which must be reported first, or empty where the run must end by itself, with
status 0, and nothing be found. Exit status: 0 yes, 1 no (with the reason), 2 usage.
"""

import json
import sys

def complaint(report: dict, expected: str, status: int) -> str:
    findings = [f for f in report["findings"] if f["severity"] != "advisory"]
    if not expected:
        if status != 0:
            return f"ended with {status}"
        return f"found {[f['hazard'] for f in findings]}, expected nothing" if findings else ""
    if not findings or findings[0]["hazard"] != expected or findings[0]["severity"] != "hang":
        return f"found {[(f['hazard'], f['severity']) for f in findings]}, expected a hang by {expected}"
    return ""


def main() -> int:
    if len(sys.argv) != 4:
        print(__doc__, file=sys.stderr)
        return 2
    with open(sys.argv[1], encoding="utf-8") as file:
        found = complaint(json.load(file), sys.argv[2], int(sys.argv[3]))
    if found:
        print(found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
