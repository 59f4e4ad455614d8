"""Health and reflection by the packages grpcio-health-checking and grpcio-reflection.

Usage: tools.py HOST:PORT. Prints one line for each check; exits 1 when one fails. After the line
`watching` the server may drain.
"""

import sys

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

failed = False
names = {value: name for name, value in health_pb2.HealthCheckResponse.ServingStatus.items()}


def check(name, right, shown=None):
    global failed
    failed = failed or not right
    print(("ok   " if right else "WRONG"), name, "" if right else repr(shown), flush=True)


def main(target):
    channel = grpc.insecure_channel(target)
    database = ProtoReflectionDescriptorDatabase(channel)
    services = set(database.get_services())
    expected = {
        "feed.FeedService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    check("services", services == expected, services)
    pool = DescriptorPool(database)
    service = pool.FindServiceByName("feed.FeedService")
    shapes = {m.name: (m.client_streaming, m.server_streaming) for m in service.methods}
    check("one", shapes["one"] == (False, False), shapes)
    check("list", shapes["list"] == (False, True), shapes)
    check("import", shapes["import"] == (True, False), shapes)
    check("sync", shapes["sync"] == (True, True), shapes)
    message = pool.FindMessageTypeByName("feed.Item")
    check("message", [field.name for field in message.fields] == ["number", "text"], message)
    try:
        pool.FindMessageTypeByName("feed.Nothing")
        check("unknown symbol", False)
    except KeyError:
        check("unknown symbol", True)

    health = health_pb2_grpc.HealthStub(channel)
    for name in ["", "feed.FeedService"]:
        got = health.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
        check(f"check '{name}'", names[got.status] == "SERVING", got)
    try:
        got = health.Check(health_pb2.HealthCheckRequest(service="no.such"), timeout=5)
        check("check of an unknown service", False, got)
    except grpc.RpcError as error:
        check("check of an unknown service", error.code().name == "NOT_FOUND", error)
    watch = health.Watch(health_pb2.HealthCheckRequest(service="feed.FeedService"), timeout=20)
    other = health.Watch(health_pb2.HealthCheckRequest(service="no.such"), timeout=20)
    check("watch", names[next(watch).status] == "SERVING")
    check("watch of an unknown service", names[next(other).status] == "SERVICE_UNKNOWN")
    print("watching", flush=True)
    told = [names[update.status] for update in watch]
    check("drain", told == ["NOT_SERVING"], told)


main(*sys.argv[1:])
sys.exit(1 if failed else 0)
