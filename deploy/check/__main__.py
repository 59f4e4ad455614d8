"""Holds the deployment files against what they are for, without an engine or a cluster.

Kubernetes objects against the schemas of Kubernetes (package `kubernetes-validate`, strict),
references and ports against each other, command lines and configurations against the program
itself (`--check`), and all of it against what these files promise: no root, nothing written but
the data, a grace that is long enough.

Usage: python3 deploy/check --cohort target/debug/cohort

Needs `pyyaml` and `kubernetes-validate`. Exit code 0: all holds; each finding is a line.
"""

import argparse
import os
import sys

import compose
import dockerfile
import manifests
from findings import Findings


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--cohort", required=True, help="the program, to be asked about flags and configurations")
    options = arguments.parse_args()
    deploy = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    findings = Findings(os.path.abspath(options.cohort))
    manifests.check(findings, os.path.join(deploy, "kubernetes"))
    dockerfile.check(findings, deploy)
    compose.check(findings, deploy)
    sys.exit(findings.tell())


if __name__ == "__main__":
    main()
