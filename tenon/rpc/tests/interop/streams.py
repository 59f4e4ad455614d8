"""Serves the feed of `feed.proto` with the gRPC of Google's C core.

Prints its port, and `over` when a call ends before its work does. Ends with its input.
"""

import sys
import threading
from concurrent import futures

import grpc


def fields(data):
    """Number and text of an item."""
    number, text, at = 0, "", 0
    while at < len(data):
        tag, at = data[at], at + 1
        value, shift = 0, 0
        while True:
            byte, at = data[at], at + 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        if tag == 8:
            number = value
        else:
            text, at = data[at : at + value].decode(), at + value
    return number, text


def item(number):
    out = bytearray([8])
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes(out + bytes([number])) if number or len(out) > 1 else b""


def wait(context):
    over = threading.Event()
    if context.add_callback(over.set):
        over.wait(10)
    print("over", flush=True)


def one(request, context):
    return request


def listing(request, context):
    count, text = fields(request)
    for number in range(count):
        yield item(number)
    if text == "fail":
        context.abort(grpc.StatusCode.OUT_OF_RANGE, "no more 试验")
    if text == "wait":
        wait(context)


def importing(requests, context):
    try:
        count = sum(1 for _ in requests)
    except Exception:
        print("broken", flush=True)
        raise
    return item(count)


def syncing(requests, context):
    try:
        yield from requests
    except Exception:
        print("broken", flush=True)
        raise


def main():
    server = grpc.server(futures.ThreadPoolExecutor(8), compression=grpc.Compression.Gzip)
    methods = {
        "one": grpc.unary_unary_rpc_method_handler(one),
        "list": grpc.unary_stream_rpc_method_handler(listing),
        "import": grpc.stream_unary_rpc_method_handler(importing),
        "sync": grpc.stream_stream_rpc_method_handler(syncing),
    }
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("feed.FeedService", methods),)
    )
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()
    server.stop(0)


main()
