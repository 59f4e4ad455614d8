#!/usr/bin/env python3
"""Loads published data into a running Cohort and checks what it makes of them.

Two files, both published by CDISC projects:

- the demographics of the CDISC pilot study (`pharmaverse_dm.csv`): 306 subjects of 17 sites, of
  whom 254 were randomised and 52 failed screening; loaded by `cohort import`;
- 30 PHQ-9 administrations of 13 subjects (`phq9_cdisc.csv`): entered as responses whose total is
  what the file claims. 28 are stored; the two of CDISC014 are refused, because their answer to
  the difficulty item is none of its options; one published total differs from its items.

Usage:
    scripts/load_published_data.py --demo cohort-data/demo.json --cohort target/release/cohort \\
        --dm pharmaverse_dm.csv --phq9 phq9_cdisc.csv

It makes studies of its own, so it may run beside others. Exit code 0: all checks hold.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import uuid

PHQ9_FILE = os.path.join(os.path.dirname(__file__), "..", "cohort", "clinical", "instruments", "phq9.json")
DM_MAP = os.path.join(os.path.dirname(__file__), "pharmaverse_dm.map.yaml")


class Cohort:
    """The REST interface of a running Cohort, as one account."""

    def __init__(self, gateway, token=None):
        self.gateway = gateway.rstrip("/")
        self.token = token

    def call(self, method, path, body=None):
        """Returns (status, body)."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.gateway + "/api/v1" + path, data=data, method=method)
        if data is not None:
            request.add_header("content-type", "application/json")
        if self.token:
            request.add_header("authorization", "Bearer " + self.token)
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:
                text = reply.read()
                return reply.status, json.loads(text) if text else None
        except urllib.error.HTTPError as problem:
            return problem.code, json.loads(problem.read() or b"null")

    def must(self, method, path, body=None):
        status, reply = self.call(method, path, body)
        if status >= 300:
            sys.exit(f"{method} {path} answered {status}: {json.dumps(reply, ensure_ascii=False)}")
        return reply

    def login(self, username, password):
        tokens = self.must("POST", "/identity/login", {"username": username, "password": password})
        return Cohort(self.gateway, tokens["accessToken"])

    def all(self, path):
        """Every item of a list, page by page."""
        items, cursor = [], ""
        while True:
            page = self.must("GET", path + ("&" if "?" in path else "?") + "limit=200" + cursor)
            items += page["items"]
            if not page.get("nextCursor"):
                return items
            cursor = "&cursor=" + page["nextCursor"]


class Checks:
    """Counts what was looked at and what did not hold."""

    def __init__(self):
        self.failed = 0

    def equal(self, what, found, expected):
        holds = found == expected
        self.failed += not holds
        print(f"{'ok  ' if holds else 'FAIL'} {what}: {found}" + ("" if holds else f", expected {expected}"))


def new_study(admin, code, title, target, sites):
    """A study with its sites and a coordinator for all of it; returns (id, {code: id}, coordinator)."""
    study = admin.must("POST", "/trial", {"code": code, "title": title, "target": target})["id"]
    ids = {site: admin.must("POST", f"/trial/{study}/site", {"code": site, "name": f"Site {site}"})["id"] for site in sites}
    username, password = f"loader-{uuid.uuid4().hex[:12]}", uuid.uuid4().hex
    admin.must("POST", "/identity/account", {
        "username": username,
        "password": password,
        "grants": [{"role": "coordinator", "trialId": study}],
    })
    return study, ids, admin.login(username, password)


def load_subjects(checks, admin, cohort, path):
    """The pilot study by `cohort import`."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    sites = sorted({row["SITEID"] for row in rows})
    study, ids, coordinator = new_study(admin, f"PILOT-{uuid.uuid4().hex[:8]}", "CDISC pilot study", 300, sites)
    with tempfile.NamedTemporaryFile("w", suffix=".token") as token:
        token.write(coordinator.token)
        token.flush()
        subprocess.run(
            [cohort, "import", "--url", coordinator.gateway, "--token-file", token.name,
             "--trial", study, "--map", DM_MAP, path],
            check=True,
        )
    subjects = coordinator.all(f"/patient?trialId={study}")
    checks.equal("subjects imported", len(subjects), len(rows))
    checks.equal("sites with subjects", len({subject["siteId"] for subject in subjects}), len(sites))
    checks.equal("enrolled", sum(subject["status"] == 1 for subject in subjects), sum(row["ARMCD"] != "Scrnfail" for row in rows))
    checks.equal("screen failed", sum(subject["status"] == 3 for subject in subjects), sum(row["ARMCD"] == "Scrnfail" for row in rows))
    checks.equal("women", sum(subject["sex"] == "F" for subject in subjects), sum(row["SEX"] == "F" for row in rows))
    site_of = {row["USUBJID"]: ids[row["SITEID"]] for row in rows}
    checks.equal("subjects at their own site", sum(site_of[subject["subjectNo"]] == subject["siteId"] for subject in subjects), len(rows))
    progress = coordinator.must("GET", f"/trial/{study}/progress")
    checks.equal("progress", (progress["enrolled"], progress["target"], progress["progress"]), (254, 300, 84))


def load_responses(checks, admin, path):
    """The PHQ-9 administrations, on behalf of their subjects."""
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    questionnaire = published_phq9(admin)
    study, sites, coordinator = new_study(admin, f"PHQ9-{uuid.uuid4().hex[:8]}", "CDISC PHQ-9 examples", None, ["001"])
    subjects = {}
    for number in sorted({row["usubjid"] for row in rows}):
        made = coordinator.must("POST", "/patient", {
            "trialId": study, "siteId": sites["001"], "subjectNo": number, "sex": "U", "birthDate": "1960",
        })["patient"]["id"]
        coordinator.must("POST", f"/patient/{made}/status", {"status": 1, "reason": "published example", "date": "2012-10-01"})
        subjects[number] = made
    stored, refused, discrepancies = [], [], []
    for row in rows:
        status, reply = coordinator.call("POST", "/epro/response", as_response(questionnaire, subjects[row["usubjid"]], row))
        if status == 201:
            stored.append(row)
            total = sum(int(row[f"i{item}"]) for item in range(1, 10))
            score = reply["scores"][0]
            if (score["name"], score["value"]) != ("phq9", total):
                checks.equal(f"score of {row['usubjid']}", (score["name"], score["value"]), ("phq9", total))
            discrepancies += [(row["usubjid"], found["claimed"], found["computed"]) for found in reply["discrepancies"]]
        else:
            refused.append((row["usubjid"], status, [error["path"] for error in reply["errors"]], [error["rule"] for error in reply["errors"]]))
    checks.equal("responses stored", len(stored), 28)
    checks.equal("responses refused", sorted({subject for subject, *_ in refused}), ["CDISC014"])
    checks.equal("refused", len(refused), 2)
    for _, status, places, rules in refused:
        checks.equal("the refusal names the difficulty item and the rule", (status, "/69722-7" in places[0], rules), (400, True, ["illegal-option"]))
    checks.equal("discrepancies", discrepancies, [("CDISC004", 27, 26)])
    kept = sum(len(coordinator.all(f"/epro/response?subjectId={subject}")) for subject in subjects.values())
    checks.equal("responses read back", kept, 28)
    alerts = coordinator.all(f"/epro/alert?trialId={study}")
    checks.equal("alerts for item 9", len(alerts), sum(int(row["i9"]) > 0 for row in stored))


def published_phq9(admin):
    """The shipped PHQ-9, published if it is not yet."""
    with open(PHQ9_FILE) as file:
        questionnaire = json.load(file)
    status, reply = admin.call("POST", "/epro/questionnaire", questionnaire)
    if status not in (200, 201, 409):
        sys.exit(f"publishing the PHQ-9 answered {status}: {reply}")
    return questionnaire


def as_response(questionnaire, subject, row):
    """One administration as a FHIR QuestionnaireResponse."""
    items, item_no = [], 0
    for item in questionnaire["item"]:
        if item["type"] == "display":
            continue
        if item["type"] != "choice":
            items.append({"linkId": item["linkId"], "answer": [{"valueInteger": int(row["published_total"])}]})
        elif item_no < 9:
            item_no += 1
            option = item["answerOption"][int(row[f"i{item_no}"])]["valueCoding"]
            items.append({"linkId": item["linkId"], "answer": [{"valueCoding": option}]})
        else:
            items.append({"linkId": item["linkId"], "answer": [{"valueCoding": {"display": row["difficulty"]}}]})
    return {
        "resourceType": "QuestionnaireResponse",
        "id": str(uuid.uuid4()),
        "status": "completed",
        "questionnaire": f"{questionnaire['url']}|{questionnaire['version']}",
        "subject": {"reference": f"Patient/{subject}"},
        "authored": row["date"],
        "item": items,
    }


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--demo", required=True, help="demo.json of the running Cohort")
    arguments.add_argument("--cohort", required=True, help="the cohort program")
    arguments.add_argument("--dm", help="pharmaverse_dm.csv")
    arguments.add_argument("--phq9", help="phq9_cdisc.csv")
    options = arguments.parse_args()
    with open(options.demo) as file:
        demo = json.load(file)
    account = next(account for account in demo["accounts"] if account["role"] == "admin")
    admin = Cohort(demo["gateway"]).login(account["username"], account["password"])
    checks = Checks()
    if options.dm:
        load_subjects(checks, admin, options.cohort, options.dm)
    if options.phq9:
        load_responses(checks, admin, options.phq9)
    sys.exit(1 if checks.failed else 0)


if __name__ == "__main__":
    main()
