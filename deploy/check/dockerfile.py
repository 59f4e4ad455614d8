"""The Dockerfile, read by the rules that its engine reads it by."""

import json
import os
import re


def check(findings, deploy):
    """All statements about the Dockerfile."""
    where = "Dockerfile"
    instructions = read(os.path.join(deploy, "Dockerfile"))
    stages = split(instructions)
    final = stages[-1]
    of = lambda word: [value for key, value in final if key == word]
    findings.holds(where, "the last stage is empty but for what is copied", of("FROM") == ["scratch"] and not of("RUN") and not of("ADD"))
    names = {value.split(" AS ")[1] for stage in stages[:-1] for key, value in stage if key == "FROM"}
    copied = [re.search(r"--from=(\S+)", value) for value in of("COPY")]
    findings.holds(where, "what is copied comes from a stage", copied and all(found and found[1] in names for found in copied))
    findings.holds(where, "its user is a number and not root", re.fullmatch(r"[1-9]\d*:[1-9]\d*", of("USER")[-1]))
    owned = [value for value in of("COPY") if f"--chown={of('USER')[-1]}" in value]
    findings.holds(where, "the user owns the data, and not the program", len(owned) == 1 and owned[0].endswith(" /data"))
    findings.holds(where, "the data is a volume", json.loads(of("VOLUME")[0]) == ["/data"])
    bases = dict(value.split("=", 1) for key, value in instructions if key == "ARG" and "=" in value)
    built_from = [value for stage in stages[:-1] for key, value in stage if key == "FROM"]
    images = [re.sub(r"\$\{(\w+)\}", lambda name: bases[name[1]], value.split(" AS ")[0]) for value in built_from]
    findings.holds(where, f"bases have versions: {images}", all(re.search(r":\d+\.\d+\.\d+-|@sha256:", image) for image in images))
    with open(os.path.join(deploy, "..", "rust-toolchain.toml")) as file:
        version = re.search(r'channel = "([^"]+)"', file.read())[1]
    findings.holds(where, f"it builds with Rust {version}", any(f":{version}-" in image for image in images))
    health = of("HEALTHCHECK")[0]
    findings.holds(where, "its health is asked of the program itself", health.endswith(json.dumps(["/cohort", "health"])))
    findings.holds(where, "it is started without a shell", json.loads(of("ENTRYPOINT")[0]) == ["/cohort"])
    command = json.loads(of("CMD")[0])
    findings.takes(where, command)
    listening = {word.rpartition(":")[2] for word in command if re.fullmatch(r"0\.0\.0\.0:\d+", word)}
    findings.holds(where, "it exposes what it listens on", set(of("EXPOSE")[0].split()) == listening)
    findings.holds(where, "the build is one that stands here", os.access(os.path.join(deploy, "build_static.sh"), os.X_OK))


def read(path):
    """Instructions with their values; comments and continued lines are resolved."""
    with open(path) as file:
        lines = [line.rstrip("\n") for line in file if not re.match(r"\s*#", line)]
    text = re.sub(r"\\\n", " ", "\n".join(lines))
    known = {"FROM", "ARG", "LABEL", "COPY", "RUN", "ENV", "WORKDIR", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        word, _, value = line.partition(" ")
        assert word in known, f"Dockerfile: {word} is no instruction that we use"
        found.append((word, " ".join(value.split())))
    return found


def split(instructions):
    """The stages, each from its FROM on."""
    stages = []
    for key, value in instructions:
        if key == "FROM":
            stages.append([])
        if stages:
            stages[-1].append((key, value))
    return stages
