"""The interoperability cases of gRPC, with Google's C core as the client.

Usage: cases.py HOST:PORT. Prints one line for each case; exits 1 when one fails. The texts of the
cases: grpc/grpc, doc/interop-test-descriptions.md. Messages are written by hand.
"""

import sys
import threading
import time

import grpc

SERVICE = "/grpc.testing.TestService/"
failed = False


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + bytes([value]))


def number(tag, value):
    return varint(tag * 8) + varint(value) if value else b""


def nested(tag, data):
    return varint(tag * 8 + 2) + varint(len(data)) + data


def payload(size):
    return nested(2, bytes(size))


def parameters(*sizes, wait=0):
    return b"".join(nested(2, number(1, size) + number(2, wait)) for size in sizes)


def status(code, text):
    return nested(7, number(1, code) + nested(2, text.encode()))


def answer(size):
    """A response with a payload of this size."""
    return nested(1, nested(2, bytes(size)) if size else b"")


def case(name, right, shown=None):
    global failed
    failed = failed or not right
    print(("ok   " if right else "WRONG"), name, "" if right else repr(shown), flush=True)


def code_of(call):
    try:
        result = call()
        return "OK", result
    except grpc.RpcError as error:
        return error.code().name, error.details()


SIZES = [31415, 9, 2653, 58979]
SENT = [27182, 8, 1828, 45904]


def main(target):
    channel = grpc.insecure_channel(target)
    unary = channel.unary_unary(SERVICE + "UnaryCall")
    empty = channel.unary_unary(SERVICE + "EmptyCall")
    output = channel.unary_stream(SERVICE + "StreamingOutputCall")
    collect = channel.stream_unary(SERVICE + "StreamingInputCall")
    duplex = channel.stream_stream(SERVICE + "FullDuplexCall")

    case("empty_unary", empty(b"") == b"")
    got = unary(number(2, 314159) + nested(3, payload(271828)))
    case("large_unary", got == answer(314159), len(got))
    got = collect(iter(nested(1, payload(size)) for size in SENT))
    case("client_streaming", got == number(1, 74922), got)
    got = list(output(parameters(*SIZES)))
    case("server_streaming", got == [answer(size) for size in SIZES], [len(g) for g in got])

    turn, sizes = threading.Semaphore(0), []

    def pings():
        for size, sent in zip(SIZES, SENT):
            yield parameters(size) + nested(3, payload(sent))
            turn.acquire()

    for got in duplex(pings()):
        sizes.append(got)
        turn.release()
    case("ping_pong", sizes == [answer(size) for size in SIZES], [len(s) for s in sizes])
    case("empty_stream", list(duplex(iter(()))) == [])

    text = "test status message"
    got = code_of(lambda: unary(status(2, text)))
    case("status_code_and_message, unary", got == ("UNKNOWN", text), got)
    got = code_of(lambda: list(duplex(iter([status(2, text)]))))
    case("status_code_and_message, duplex", got == ("UNKNOWN", text), got)
    text = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n"
    got = code_of(lambda: unary(status(2, text)))
    case("special_status_message", got == ("UNKNOWN", text), got)
    got = code_of(lambda: channel.unary_unary(SERVICE + "UnimplementedCall")(b""))
    case("unimplemented_method", got[0] == "UNIMPLEMENTED", got)
    other = "/grpc.testing.UnimplementedService/UnimplementedCall"
    got = code_of(lambda: channel.unary_unary(other)(b""))
    case("unimplemented_service", got[0] == "UNIMPLEMENTED", got)

    hold = threading.Event()

    def nothing():
        hold.wait(10)
        yield from ()

    call = collect.future(nothing())
    call.cancel()
    case("cancel_after_begin", call.cancelled() and call.code() == grpc.StatusCode.CANCELLED, call)
    hold.set()

    hold = threading.Event()

    def one():
        yield parameters(31415) + nested(3, payload(27182))
        hold.wait(10)

    call = duplex(one())
    first = next(call)
    call.cancel()
    got = code_of(lambda: next(call))
    case("cancel_after_first_response", first == answer(31415) and got[0] == "CANCELLED", got)
    hold.set()

    hold = threading.Event()

    def late():
        yield nested(3, payload(27182)) + parameters(1, wait=5_000_000)
        hold.wait(10)

    started = time.monotonic()
    got = code_of(lambda: list(duplex(late(), timeout=0.1)))
    took = time.monotonic() - started
    case("timeout_on_sleeping_server", got[0] == "DEADLINE_EXCEEDED" and took < 3, (got, took))
    hold.set()

    many = [nested(1, payload(100)) for _ in range(5000)]
    got = collect(iter(many))
    case("5,000 small messages in", got == number(1, 500_000), got)
    got = sum(1 for _ in output(parameters(*[10] * 5000)))
    case("5,000 small messages out", got == 5000, got)
    # Not read for a while: neither side may take it for an attack.
    slow = output(parameters(*[10] * 20000))
    time.sleep(0.5)
    case("20,000 small messages, read late", sum(1 for _ in slow) == 20000)
    got = collect(iter(many), compression=grpc.Compression.Gzip)
    case("gzip in a stream", got == number(1, 500_000), got)


main(*sys.argv[1:])
sys.exit(1 if failed else 0)
