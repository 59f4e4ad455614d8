"""What a gRPC client that is not ours learns of refusals.

Usage: refusals.py HOST:PORT. The method `limited` may be called once, `held` has one place. Prints
one line for each check; exits 1 when one fails.
"""

import sys

import grpc

failed = False


def check(name, right, shown):
    global failed
    failed = failed or not right
    print(("ok   " if right else "WRONG"), name, "" if right else repr(shown), flush=True)


def outcome(call):
    try:
        call()
        return "OK", {}
    except grpc.RpcError as error:
        return error.code().name, dict(error.trailing_metadata())


def main(target):
    # Google's client would wait as long as it is told before it calls again: here it must not.
    channel = grpc.insecure_channel(target, options=[("grpc.enable_retries", 0)])
    metadata = [
        ("tenon-criticality", "critical"),
        ("grpc-previous-rpc-attempts", "1"),
        ("x-forwarded-for", "203.0.113.9"),
    ]
    one = channel.unary_unary("/feed.FeedService/one")
    code, _ = outcome(lambda: one(b"", timeout=5))
    check("the first call", code == "OK", code)
    code, trailers = outcome(lambda: one(b"", timeout=5, metadata=metadata))
    details = trailers.get("grpc-status-details-bin", b"")
    right = b"RATE_LIMITED" in details and b"google.rpc.RetryInfo" in details
    check("the second call", code == "RESOURCE_EXHAUSTED" and right, (code, trailers))
    wait = trailers.get("grpc-retry-pushback-ms")
    check("when to come again", wait is not None and 3_500_000 < int(wait) <= 3_600_000, trailers)

    listing = channel.unary_stream("/feed.FeedService/list")
    held = listing(b"\x12\x04hold", timeout=30)
    check("a stream", next(held) is not None, None)
    code, trailers = outcome(lambda: list(listing(b"", timeout=5, metadata=metadata)))
    details = trailers.get("grpc-status-details-bin", b"")
    check("no place", code == "RESOURCE_EXHAUSTED" and b"OVERLOADED" in details, (code, trailers))
    held.cancel()

    health = channel.unary_unary("/grpc.health.v1.Health/Check")
    codes = {outcome(lambda: health(b"", timeout=5))[0] for _ in range(5)}
    check("health", codes == {"OK"}, codes)


main(*sys.argv[1:])
sys.exit(1 if failed else 0)
