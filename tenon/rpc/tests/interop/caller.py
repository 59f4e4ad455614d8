"""Calls a ward with the gRPC of Google's C core: an opinion that is not ours.

Usage: caller.py HOST:PORT GOOD_TOKEN. Prints one line for each check; exits 1 when one fails.
Messages are written by hand, so that nothing but grpcio is needed.
"""

import sys
import time

import grpc

LIST = "/patient.PatientService/getPatientsByTrial"
CHECK = "/grpc.health.v1.Health/Check"
failed = False


def text(value):
    """Field 1 as a string."""
    data = value.encode()
    return b"\n" + bytes([len(data)]) + data if data else b""


def call(channel, path, request, **options):
    options.setdefault("timeout", 5)
    started = time.monotonic()
    try:
        reply = channel.unary_unary(path)(request, **options)
        return "OK", reply, None, time.monotonic() - started
    except grpc.RpcError as error:
        return error.code().name, error.details(), error, time.monotonic() - started


def check(name, right, shown):
    global failed
    failed = failed or not right
    print(("ok   " if right else "WRONG"), name, "" if right else repr(shown))


def main(target, token):
    channel = grpc.insecure_channel(target)
    code, reply, _, _ = call(channel, LIST, text("T1"))
    check("unary", code == "OK" and b"\n\x02T1" in reply and "受试者".encode() in reply, (code, reply))
    code, reply, _, _ = call(channel, LIST, text("many"))
    check("300 rows", code == "OK" and reply.count("受试者".encode()) == 300, code)
    code, reply, _, _ = call(channel, LIST, text("T" * 100), compression=grpc.Compression.Gzip)
    check("gzip request", code == "OK" and b"T" * 100 in reply, (code, reply))
    code, details, error, _ = call(channel, LIST, text("invalid"))
    rich = dict(error.trailing_metadata()).get("grpc-status-details-bin", b"")
    right = code == "FAILED_PRECONDITION" and details == "trial T1 cannot be listed"
    right = right and b"TRIAL_INVALID" in rich and "无法列出".encode() in rich and b"inside" not in rich
    check("rich error", right, (code, details, rich))
    code, details, _, took = call(channel, LIST, text("sleep"), timeout=0.2)
    check("own deadline", code == "DEADLINE_EXCEEDED" and took < 1, (code, details, took))
    code, details, _, took = call(channel, LIST, text("sleep"), timeout=5)
    right = code == "DEADLINE_EXCEEDED" and "longer than its deadline" in details and took < 2
    check("the server's deadline", right, (code, details, took))
    code, details, _, _ = call(channel, LIST, text("panic"))
    check("panic", code == "INTERNAL" and "fire" not in details, (code, details))
    code, details, _, _ = call(channel, LIST + "x", text("T1"))
    check("unknown method", code == "UNIMPLEMENTED", (code, details))
    code, details, _, _ = call(channel, LIST, text("T1"), metadata=[("authorization", "Bearer " + token)])
    check("good token", code == "OK", (code, details))
    code, details, _, _ = call(channel, LIST, text("T1"), metadata=[("authorization", "Bearer a.b.c")])
    check("bad token", code == "UNAUTHENTICATED", (code, details))
    for name, expected in [("", "OK"), ("patient.PatientService", "OK"), ("no.such", "NOT_FOUND")]:
        code, reply, _, _ = call(channel, CHECK, text(name))
        check(f"health of '{name}'", code == expected and (code != "OK" or reply == b"\x08\x01"), (code, reply))
    pending = channel.unary_unary(LIST).future(text("sleep"), timeout=5)
    time.sleep(0.1)
    pending.cancel()
    time.sleep(0.1)
    check("cancel", pending.cancelled(), pending)


main(*sys.argv[1:])
sys.exit(1 if failed else 0)
