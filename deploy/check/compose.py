"""The compose file: its keys, its rights, and its command line."""

import os

import yaml

# Of the Compose Specification, what we use; another key is a slip or needs a statement here.
SERVICE = {
    "image", "build", "command", "restart", "stop_grace_period", "ports", "volumes", "secrets", "healthcheck", "user",
    "read_only", "cap_drop", "security_opt", "pids_limit", "mem_limit", "ulimits", "logging",
}


def check(findings, deploy):
    """All statements about compose.yaml."""
    with open(os.path.join(deploy, "compose.yaml")) as file:
        whole = yaml.safe_load(file)
    where = "compose.yaml"
    findings.holds(where, "its keys are known", set(whole) == {"name", "services", "volumes", "secrets"})
    (name, service), = whole["services"].items()
    where = f"compose.yaml: {name}"
    findings.holds(where, f"its keys are known: {set(service) - SERVICE}", set(service) <= SERVICE)
    findings.holds(where, "it is not root, may gain nothing and write nothing but its data",
                   service["user"] == "65532:65532" and service["read_only"] is True and service["cap_drop"] == ["ALL"]
                   and service["security_opt"] == ["no-new-privileges:true"])
    findings.holds(where, "it is built from the Dockerfile", os.path.exists(os.path.join(deploy, service["build"]["context"], service["build"]["dockerfile"])))
    named = {volume.split(":")[0] for volume in service["volumes"]}
    findings.holds(where, "its volumes are declared", named == set(whole["volumes"]))
    findings.holds(where, "its secrets are declared, as files", set(service["secrets"]) == set(whole["secrets"]) and all("file" in one for one in whole["secrets"].values()))
    findings.takes(where, service["command"])
    listening = {word.rpartition(":")[2] for word in service["command"] if "0.0.0.0:" in word}
    published = [port.split(":") for port in service["ports"]]
    findings.holds(where, "each port is published, on this machine only",
                   {port[2] for port in published} == listening and all(port[0] == "127.0.0.1" for port in published))
    findings.holds(where, "it is asked for its health by itself", service["healthcheck"]["test"] == ["CMD", "/cohort", "health"])
    findings.holds(where, "it may end what is in flight", int(service["stop_grace_period"].removesuffix("s")) > 25 + 2)
