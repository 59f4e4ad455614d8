"""Serves the patient service with the gRPC of Google's C core.

Prints its port, and `cancelled` when a call ends before its work does. Ends with its input.
"""

import sys
import threading
from concurrent import futures

import grpc


def delimited(tag, data):
    size, length = [], len(data)
    while length > 127:
        size.append(length & 127 | 128)
        length >>= 7
    return bytes([tag * 8 + 2, *size, length]) + data


def patient(value):
    return delimited(1, delimited(1, value.encode()))


def list_patients(request, context):
    asked = request[2:].decode()
    if asked == "absent":
        context.abort(grpc.StatusCode.NOT_FOUND, "no such trial 试验 100%")
    if asked == "broken":
        raise RuntimeError("inside of the server")
    if asked == "sleep":
        over = threading.Event()
        context.add_callback(over.set)
        over.wait(10)
        print("cancelled", flush=True)
        return b""
    if asked == "headers":
        sent = dict(context.invocation_metadata())
        names = ("traceparent", "authorization", "user-agent")
        left = patient(str(context.time_remaining()))
        return left + b"".join(patient(sent.get(name, "")) for name in names)
    return patient(asked)


def main():
    server = grpc.server(futures.ThreadPoolExecutor(4), compression=grpc.Compression.Gzip)
    handler = grpc.unary_unary_rpc_method_handler(list_patients)
    methods = {"getPatientsByTrial": handler}
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("patient.PatientService", methods),)
    )
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    sys.stdin.read()
    server.stop(0)


main()
