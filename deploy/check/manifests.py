"""The manifests: schemas, references, ports, rights, graces, and the configurations in them."""

import copy
import os
import re

import kubernetes_validate
import yaml

# What an operator makes beforehand: see docs/guide/deploying.md.
GIVEN = {
    ("Secret", "cohort-identity-keys"),
    ("Secret", "cohort-patient-keys"),
    ("Secret", "cohort-administrator"),
    ("ConfigMap", "cohort-token-keys"),
}
# Of the configuration, where it does not say.
GRACE_SECONDS = 25
DRAIN_DELAY_SECONDS = 2
# Until every node and ingress has taken a pod out of a Service: usually one, rarely more.
HEARD_SECONDS = 5


def check(findings, folder):
    """All statements about the folder of the manifests."""
    objects, files = read(folder)
    for thing in objects:
        by_schema(findings, thing)
    kinds = {}
    for thing in objects:
        kinds.setdefault(thing["kind"], {})[thing["metadata"]["name"]] = thing
    deployments = kinds["Deployment"]
    findings.holds("kubernetes", "there is a Deployment for each service", len(deployments) >= 6)
    for name, deployment in deployments.items():
        of_deployment(findings, name, deployment, kinds, files)
    for kind in ("Service", "PodDisruptionBudget", "NetworkPolicy"):
        for name, thing in kinds[kind].items():
            selects(findings, f"{kind} {name}", thing, deployments)
    for name, scaler in kinds["HorizontalPodAutoscaler"].items():
        of_scaler(findings, name, scaler, deployments)
    reachable(findings, deployments, kinds, files)
    of_discovery(findings, os.path.join(folder, "discovery"), kinds)


def of_discovery(findings, folder, kinds):
    """The component for those who find others by EndpointSlices: it may read these and nothing else."""
    with open(os.path.join(folder, "kustomization.yaml")) as file:
        component = yaml.safe_load(file)
    things = {}
    for resource in component["resources"]:
        with open(os.path.join(folder, resource)) as file:
            for thing in yaml.safe_load_all(file):
                by_schema(findings, thing)
                things[thing["kind"]] = thing
    where = "component discovery"
    rules = things["Role"]["rules"]
    findings.holds(where, "it reads EndpointSlices and nothing else", rules == [
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["get", "list", "watch"]}])
    binding = things["RoleBinding"]
    findings.holds(where, "its role is bound", binding["roleRef"]["name"] == things["Role"]["metadata"]["name"])
    bound = {subject["name"] for subject in binding["subjects"]}
    findings.holds(where, "accounts that are there are bound", bound and bound <= set(kinds["ServiceAccount"]))
    patched = set(re.findall(r"\w+", component["patches"][0]["target"]["name"]))
    findings.holds(where, "whoever is bound gets the token of its account", patched == bound)


def read(folder):
    """The objects as `kubectl apply --kustomize` makes them, by the few rules that we use, and the
    files of the generated config maps by their names."""
    with open(os.path.join(folder, "kustomization.yaml")) as file:
        rules = yaml.safe_load(file)
    known = {"apiVersion", "kind", "namespace", "labels", "images", "resources", "configMapGenerator"}
    assert set(rules) <= known, f"kustomization.yaml: this check does not know {set(rules) - known}"
    listed = set(rules["resources"]) | {"kustomization.yaml"}
    present = {name for name in os.listdir(folder) if name.endswith(".yaml")}
    assert listed == present, f"kustomization.yaml: does not name the files that are there: {listed ^ present}"
    objects, files = [], {}
    for resource in rules["resources"]:
        with open(os.path.join(folder, resource)) as file:
            objects += list(yaml.safe_load_all(file))
    for generated in rules["configMapGenerator"]:
        data = {}
        for path in generated["files"]:
            with open(os.path.join(folder, path)) as file:
                data[os.path.basename(path)] = file.read()
            files[(generated["name"], os.path.basename(path))] = os.path.join(folder, path)
        objects.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": generated["name"]}, "data": data})
    images = {image["name"]: f"{image['newName']}:{image['newTag']}" for image in rules["images"]}
    for thing in objects:
        if thing["kind"] != "Namespace":
            thing["metadata"]["namespace"] = rules["namespace"]
        for container in containers(thing):
            container["image"] = images.get(container["image"], container["image"])
    return objects, files


def containers(thing):
    """The containers of an object, if it makes pods."""
    return thing.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [])


def by_schema(findings, thing):
    """The object is one of Kubernetes, without a key that it does not know."""
    where = f"{thing['kind']} {thing['metadata']['name']}"
    try:
        kubernetes_validate.validate(copy.deepcopy(thing), kubernetes_validate.latest_version(), strict=True)
        findings.holds(where, "fits its schema", True)
    except Exception as problem:  # whatever the package raises is a finding
        findings.holds(where, f"fits its schema: {getattr(problem, 'message', problem)}", False)


def of_deployment(findings, name, deployment, kinds, files):
    """One deployment: its pod, its container, and the configuration that it is started with."""
    where = f"Deployment {name}"
    template = deployment["spec"]["template"]
    pod = template["spec"]
    wanted = deployment["spec"]["selector"]["matchLabels"]
    findings.holds(where, "its selector fits its pods", wanted.items() <= template["metadata"]["labels"].items())
    findings.holds(where, "its account is there", pod["serviceAccountName"] in kinds["ServiceAccount"])
    is_stateless = name in kinds["HorizontalPodAutoscaler"]
    claims = [volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"] if "persistentVolumeClaim" in volume]
    findings.holds(where, "one writer: one replica, replaced before the next, on its own volume; or an autoscaler and no volume",
                   not claims and "replicas" not in deployment["spec"] if is_stateless else
                   deployment["spec"]["replicas"] == 1 and deployment["spec"]["strategy"]["type"] == "Recreate" and len(claims) == 1)
    for claim in claims:
        findings.holds(where, f"the claim {claim} is there", claim in kinds["PersistentVolumeClaim"])
    rights(findings, where, pod)
    given_files(findings, where, pod, kinds)
    (container,) = pod["containers"]
    findings.holds(where, "its image has a tag that stays", re.search(r":(?!latest)[^/]+$", container["image"]))
    command = container["args"]
    (mounted,) = [path for path in command if path.startswith("/etc/cohort/")]
    (source,) = [volume["configMap"]["name"] for volume in pod["volumes"] if volume["name"] == "config"]
    file = files.get((source, os.path.basename(mounted)))
    if not findings.holds(where, f"{mounted} is in the config map {source}", file):
        return
    findings.takes(where, [file if path == mounted else path for path in command])
    with open(file) as opened:
        configuration = yaml.safe_load(opened)
    of_configuration(findings, where, pod, container, configuration)
    delay = drain_delay(configuration)
    findings.holds(where, f"it accepts until all have heard that it leaves ({delay} s); or there is no other, and it leaves at once",
                   delay >= HEARD_SECONDS if is_stateless else delay == 0)


def rights(findings, where, pod):
    """What the Pod Security Standard `restricted` asks, and a root that cannot be written."""
    security = pod["securityContext"]
    findings.holds(where, "it is not root", security["runAsNonRoot"] is True and security["runAsUser"] > 0)
    findings.holds(where, "its system calls are filtered", security["seccompProfile"]["type"] == "RuntimeDefault")
    for container in pod["containers"]:
        own = container["securityContext"]
        findings.holds(where, "its root is read-only", own["readOnlyRootFilesystem"] is True)
        findings.holds(where, "it gains no rights", own["allowPrivilegeEscalation"] is False and own["capabilities"]["drop"] == ["ALL"])
        resources = container["resources"]
        findings.holds(where, "it says what it needs and what it may have",
                       {"cpu", "memory"} <= set(resources["requests"]) & set(resources["limits"]))


def given_files(findings, where, pod, kinds):
    """Each volume is something that is there, and each mount names a volume."""
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["name"]: mount for container in pod["containers"] for mount in container["volumeMounts"]}
    findings.holds(where, "mounts and volumes are the same", set(volumes) == set(mounts))
    for name, volume in volumes.items():
        if "configMap" in volume:
            source = ("ConfigMap", volume["configMap"]["name"])
        elif "secret" in volume:
            source = ("Secret", volume["secret"]["secretName"])
            findings.holds(where, f"the secret {source[1]} is kept from others", volume["secret"]["defaultMode"] & 0o077 == 0)
        else:
            continue
        findings.holds(where, f"{source[0]} {source[1]} is there", source in GIVEN or source[1] in kinds.get(source[0], {}))
        findings.holds(where, f"{name} is mounted read-only", mounts[name]["readOnly"] is True)


def of_configuration(findings, where, pod, container, configuration):
    """Doors, probes and graces say the same in the configuration and in the pod."""
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    doors = {name: section for name, section in (("rest", "rest"), ("grpc", "rpc"), ("admin", "admin")) if name in ports}
    findings.holds(where, "REST and admin are open", {"rest", "admin"} <= set(doors))
    for port, section in doors.items():
        listen = configuration[section]["listen"]
        findings.holds(where, f"{section}.listen is the container port {port} on all addresses", listen == f"0.0.0.0:{ports[port]}")
    for probe, path in (("startupProbe", "/readyz"), ("readinessProbe", "/readyz"), ("livenessProbe", "/healthz")):
        asked = container[probe]["httpGet"]
        findings.holds(where, f"{probe} asks {path} of admin", asked == {"path": path, "port": "admin"})
    end = longest_end(configuration)
    findings.holds(where, f"its termination grace is above drain delay and grace ({end} s)", pod["terminationGracePeriodSeconds"] > end)


def longest_end(configuration):
    """How long the process may take to stop: its drain delay, then the longest grace of its doors."""
    graces = [seconds(configuration.get(section, {}).get("grace"), GRACE_SECONDS) for section in ("rest", "rpc")]
    return max(graces) + drain_delay(configuration)


def drain_delay(configuration):
    """How long the doors go on accepting after the process was told to stop."""
    registration = configuration.get("registration")
    return 0 if registration is None else seconds(registration.get("drainDelay"), DRAIN_DELAY_SECONDS)


def seconds(text, default):
    """A duration of a configuration; we write whole seconds."""
    return default if text is None else int(text.removesuffix("s"))


def selects(findings, where, thing, deployments):
    """What selects pods finds some, and ports that have names are theirs."""
    spec = thing["spec"]
    selector = spec["selector"] if thing["kind"] == "Service" else spec.get("podSelector", spec.get("selector", {})).get("matchLabels", {})
    if thing["kind"] == "PodDisruptionBudget":
        selector = spec["selector"]["matchLabels"]
    found = chosen(selector, deployments)
    findings.holds(where, "it selects pods that are there", found)
    names = [port["targetPort"] for port in spec.get("ports", [])] if thing["kind"] == "Service" else []
    for rule in spec.get("ingress", []) if thing["kind"] == "NetworkPolicy" else []:
        names += [port["port"] for port in rule["ports"] if isinstance(port["port"], str)]
    for deployment in found:
        present = {port["name"] for port in containers(deployments[deployment])[0]["ports"]}
        findings.holds(where, f"{deployment} has the ports {names}", set(names) <= present)


def chosen(selector, deployments):
    """The names of the deployments whose pods have these labels."""
    fits = lambda thing: selector.items() <= thing["spec"]["template"]["metadata"]["labels"].items()
    return [name for name, thing in deployments.items() if fits(thing)]


def of_scaler(findings, name, scaler, deployments):
    """An autoscaler scales a deployment that is there, by CPU and memory, within bounds."""
    where = f"HorizontalPodAutoscaler {name}"
    target = scaler["spec"]["scaleTargetRef"]
    findings.holds(where, "its deployment is there", target["kind"] == "Deployment" and target["name"] in deployments)
    measured = {metric["resource"]["name"] for metric in scaler["spec"]["metrics"]}
    findings.holds(where, "it looks at CPU and memory", measured == {"cpu", "memory"})
    findings.holds(where, "there are two at least", 2 <= scaler["spec"]["minReplicas"] < scaler["spec"]["maxReplicas"])


def reachable(findings, deployments, kinds, files):
    """Each neighbour that a configuration names is a Service with that port, and both policies,
    that of the caller and that of the called, let the call through; and nobody else's."""
    services, policies = kinds["Service"], kinds["NetworkPolicy"]
    default = policies["default-deny"]["spec"]
    findings.holds("NetworkPolicy default-deny", "nothing is allowed but what others allow",
                   default["podSelector"] == {} and set(default["policyTypes"]) == {"Ingress", "Egress"} and not default.get("ingress") and not default.get("egress"))
    calls = set()
    for caller in deployments:
        with open(files[(f"{caller}-config", f"{caller}.yaml")]) as file:
            configuration = yaml.safe_load(file)
        sections = [*configuration.get("clients", {}).values(), *configuration.get("services", {}).values()]
        for endpoint in [endpoint for section in sections for endpoint in section["endpoints"]]:
            called, port = endpoint.split(":")
            where = f"{caller} calls {endpoint}"
            if not findings.holds(where, "the service is there", called in services):
                continue
            named = [one["targetPort"] for one in services[called]["spec"]["ports"] if one["port"] == int(port)]
            if findings.holds(where, "the service has that port", named):
                calls.add((caller, called, named[0], int(port)))
    allowed = set()
    for caller in deployments:
        for called, port in peers(policies[caller], "egress", "to"):
            allowed.add((caller, called, port))
    let_in = {(caller, called, port) for called in deployments for caller, port in peers(policies[called], "ingress", "from")}
    findings.holds("NetworkPolicy", f"callers may call whom they call, and nobody else: {allowed ^ {(a, b, n) for a, b, _, n in calls}}",
                   allowed == {(a, b, n) for a, b, _, n in calls})
    findings.holds("NetworkPolicy", f"services let in who calls them, and nobody else: {let_in ^ {(a, b, p) for a, b, p, _ in calls}}",
                   let_in == {(a, b, p) for a, b, p, _ in calls})


def peers(policy, direction, side):
    """The services of the platform that a policy names, with the port."""
    for rule in policy["spec"].get(direction, []):
        for peer in rule[side]:
            name = peer.get("podSelector", {}).get("matchLabels", {}).get("app.kubernetes.io/name")
            if name:
                for port in rule["ports"]:
                    yield name, port["port"]
