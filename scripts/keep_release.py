#!/usr/bin/env python3
"""Keeps the data of a release as a fixture: later programs must open, migrate and verify it.

Starts `cohort up --demo` on a new folder, submits a few published PHQ-9 answers, backs the folder
up, and writes beside the backup what is in it.

Usage: scripts/keep_release.py --cohort target/release/cohort --release 0.1.0
"""

import argparse
import json
import os
import subprocess
import tempfile

from load_published_data import PHQ9_FILE, Cohort, as_response

# Published administrations (CDISC example data): items, difficulty, total.
ROWS = [
    ([1, 0, 1, 0, 0, 1, 2, 0, 0], "Not difficult at all", 5),
    ([2, 2, 2, 2, 2, 3, 2, 3, 3], "Somewhat difficult", 21),
    ([0, 0, 0, 0, 0, 0, 1, 0, 1], "Not difficult at all", 2),
    ([3, 3, 3, 3, 3, 3, 2, 3, 3], "Very difficult", 27),
]

KEPT = os.path.join(os.path.dirname(__file__), "..", "cohort", "app", "tests", "releases")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--cohort", required=True)
    arguments.add_argument("--release", required=True)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "data")
        anywhere = [word for flag in ("--listen", "--progress", "--admin") for word in (flag, "127.0.0.1:0")]
        process = subprocess.Popen([options.cohort, "up", "--data", data, "--demo", "--log-level", "warn", *anywhere],
                                   stdout=subprocess.PIPE, text=True)
        while process.stdout.readline().strip() != "ready":
            pass
        with open(os.path.join(data, "demo.json")) as file:
            demo = json.load(file)
        account = next(account for account in demo["accounts"] if account["username"] == "demo-coordinator")
        coordinator = Cohort(demo["gateway"]).login(account["username"], account["password"])
        with open(PHQ9_FILE) as file:
            questionnaire = json.load(file)
        for items, difficulty, total in ROWS:
            row = {f"i{number}": value for number, value in enumerate(items, 1)}
            row |= {"difficulty": difficulty, "published_total": total, "date": "2013-01-01"}
            coordinator.must("POST", "/epro/response", as_response(questionnaire, demo["subjectIds"][0], row))
        subjects = coordinator.all("/patient")
        named = next(subject for subject in subjects if subject.get("name"))
        expected = {
            "subjects": len(subjects),
            "subjectNo": named["subjectNo"],
            "name": named["name"],
            "totals": sorted(sum(items) for items, *_ in ROWS),
            "alerts": len(coordinator.all("/epro/alert")),
        }
        process.terminate()
        process.wait()
        os.makedirs(KEPT, exist_ok=True)
        out = os.path.join(KEPT, options.release + ".tar")
        if os.path.exists(out):
            os.remove(out)
        subprocess.run([options.cohort, "backup", "--data", data, "--out", out], check=True)
        with open(os.path.join(KEPT, options.release + ".json"), "w") as file:
            json.dump(expected, file, ensure_ascii=False, indent=2)
            file.write("\n")


if __name__ == "__main__":
    main()
