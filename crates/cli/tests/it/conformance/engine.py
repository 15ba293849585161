"""Drives a running engine through boto3, and holds every raw reply against botocore's models.

    gimmetime env -- python engine.py NAME COUNT

NAME is the place's, COUNT how many tasks it runs. Endpoint, keys and region come from the environment alone, as `env` sets it.
"""

import sys
import time

import boto3
import botocore.config
import botocore.exceptions
import botocore.session

from validate import validate

NAME, COUNT = sys.argv[1], int(sys.argv[2])
PROBLEMS = []
REPLIES = {}
SOON = {"Delay": 1, "MaxAttempts": 60}
PATIENCE = 60
UNFINISHED = ("PENDING", "IN_PROGRESS", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS")
PROMPT = {"Delay": 0, "MaxAttempts": 600}
MADE_BY_THE_API = (
    *("taskDefinitionArn", "revision", "status", "requiresAttributes"),
    *("compatibilities", "registeredAt", "registeredBy"),
)


def check_raw(operation_model, response_dict, **_):
    service, operation = operation_model.service_model.service_name, operation_model.name
    REPLIES[operation] = REPLIES.get(operation, 0) + 1
    PROBLEMS.extend(validate(service, operation, response_dict["status_code"], response_dict["body"]))


def clients(*services):
    session = botocore.session.Session()
    session.register("before-parse", check_raw)
    config = botocore.config.Config(retries={"max_attempts": 0})
    made = boto3.session.Session(botocore_session=session)
    return [made.client(service, config=config) for service in services]


ecs, elbv2, logs, sts = clients("ecs", "elbv2", "logs", "sts")


def expect(condition, sentence):
    if not condition:
        PROBLEMS.append(sentence)


def expect_error(code, call, /, **parameters):
    try:
        call(**parameters)
    except botocore.exceptions.ClientError as error:
        found = error.response["Error"]
        expect(found["Code"] == code and found["Message"], f"expected {code}, found {found}")
        expect(error.response["ResponseMetadata"].get("RequestId"), f"{code}: no request id was parsed")
    else:
        PROBLEMS.append(f"expected {code}, and the call passed: {parameters}")


def service():
    return ecs.describe_services(cluster=NAME, services=[NAME], include=["TAGS"])["services"][0]


def stable():
    ecs.get_waiter("services_stable").wait(cluster=NAME, services=[NAME], WaiterConfig=SOON)


def latest_deployment():
    return ecs.list_service_deployments(cluster=NAME, service=NAME, maxResults=1)["serviceDeployments"][0]


def become(status):
    """Looks at everything while the latest deployment goes on: replies of half-done things must be whole as well."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        look()
        deployment = latest_deployment()
        if deployment["status"] not in UNFINISHED and len(service()["deployments"]) == 1:
            expect(deployment["status"] == status, f"not {status}: {deployment}")
            return deployment
    raise SystemExit(f"not {status} within {PATIENCE} s: {deployment}")


def look():
    for desired in ("RUNNING", "STOPPED"):
        tasks = ecs.list_tasks(cluster=NAME, serviceName=NAME, desiredStatus=desired)["taskArns"]
        if tasks:
            ecs.describe_tasks(cluster=NAME, tasks=tasks[:100], include=["TAGS"])
    deployments = ecs.list_service_deployments(cluster=NAME, service=NAME)["serviceDeployments"]
    arns = [one["serviceDeploymentArn"] for one in deployments][:20]
    described = ecs.describe_service_deployments(serviceDeploymentArns=arns)["serviceDeployments"]
    expect(len(described) == len(arns), f"{len(described)} of {len(arns)} deployments")
    elbv2.describe_target_health(TargetGroupArn=GROUP["TargetGroupArn"])


def look_at_the_place():
    identity = sts.get_caller_identity()
    expect(identity["Account"] == "000000000000", f"{identity}")
    expect(ecs.describe_clusters(clusters=[NAME])["clusters"][0]["clusterName"] == NAME, "no cluster")
    expect(len(ecs.list_clusters()["clusterArns"]) == 1, "clusters")
    expect(len(ecs.list_services(cluster=NAME)["serviceArns"]) == 1, "services")
    balancer = elbv2.describe_load_balancers(Names=[NAME])["LoadBalancers"][0]
    listener = elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"][0]
    expect(listener["DefaultActions"][0]["TargetGroupArn"] == GROUP["TargetGroupArn"], f"{listener}")
    elbv2.get_waiter("target_in_service").wait(TargetGroupArn=GROUP["TargetGroupArn"], WaiterConfig=PROMPT)
    targets = elbv2.describe_target_health(TargetGroupArn=GROUP["TargetGroupArn"])["TargetHealthDescriptions"]
    expect(len(targets) == COUNT, f"{targets}")


def read_logs():
    group = f"/gimmetime/{NAME}"
    expect(logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"][0]["logGroupName"] == group, "no log group")
    pages = logs.get_paginator("describe_log_streams").paginate(logGroupName=group, PaginationConfig={"PageSize": 1})
    streams = [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
    tasks = ecs.list_tasks(cluster=NAME)["taskArns"]
    missing = {f"{NAME}/app/{task.rsplit('/', 1)[1]}" for task in tasks}.difference(streams)
    expect(not missing, f"no streams {missing} in {streams}")
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group, PaginationConfig={"PageSize": 2})
    events = [event for page in pages for event in page["events"]]
    stamps = [event["timestamp"] for event in events]
    expect(len(events) >= COUNT and stamps == sorted(stamps), f"{events}")
    expect(len({event["eventId"] for event in events}) == len(events), "event ids are not unique")
    for stream in streams:
        of_stream = [event["message"] for event in events if event["logStreamName"] == stream]
        found = logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)["events"]
        expect([event["message"] for event in found] == of_stream, f"{stream}: {found} is not {of_stream}")


def release():
    """A task definition that was described is registered again with a change, and rolled out; then one that cannot start."""
    serving = service()["taskDefinition"]
    described = ecs.describe_task_definition(taskDefinition=serving, include=["TAGS"])["taskDefinition"]
    definition = {key: value for key, value in described.items() if key not in MADE_BY_THE_API}
    definition["containerDefinitions"][0]["environment"] = [{"name": "GREETING", "value": "hello"}]
    tags = [{"key": "gimmetime:version", "value": "2"}]
    good = ecs.register_task_definition(**definition, tags=tags)["taskDefinition"]
    latest = ecs.describe_task_definition(taskDefinition=NAME)["taskDefinition"]
    expect(latest["revision"] == good["revision"] > described["revision"], f"revision {good['revision']}")
    ecs.update_service(cluster=NAME, service=NAME, taskDefinition=good["taskDefinitionArn"])
    become("SUCCESSFUL")
    definition["containerDefinitions"][0]["image"] = f"localhost/{NAME}@sha256:{'0' * 64}"
    bad = ecs.register_task_definition(**definition)["taskDefinition"]
    ecs.update_service(cluster=NAME, service=NAME, taskDefinition=bad["taskDefinitionArn"])
    deployment = become("ROLLBACK_SUCCESSFUL")
    (one,) = ecs.describe_service_deployments(serviceDeploymentArns=[deployment["serviceDeploymentArn"]])["serviceDeployments"]
    revisions = [one["targetServiceRevision"]["arn"], one["rollback"]["serviceRevisionArn"]]
    revisions = ecs.describe_service_revisions(serviceRevisionArns=revisions)["serviceRevisions"]
    arns = [revision["taskDefinition"] for revision in revisions]
    expect(arns == [bad["taskDefinitionArn"], good["taskDefinitionArn"]], f"{arns}")
    expect(service()["taskDefinition"] == good["taskDefinitionArn"], "the service is not back at the release that works")
    ecs.update_service(cluster=NAME, service=NAME, forceNewDeployment=True)
    become("SUCCESSFUL")
    stable()
    pages = ecs.get_paginator("list_task_definitions").paginate(familyPrefix=NAME, PaginationConfig={"PageSize": 1})
    expect(sum(len(page["taskDefinitionArns"]) for page in pages) == bad["revision"], "task definitions over pages")
    return serving, bad["taskDefinitionArn"]


def stop_one():
    before = set(ecs.list_tasks(cluster=NAME, serviceName=NAME)["taskArns"])
    victim = sorted(before)[0]
    stopped = ecs.stop_task(cluster=NAME, task=victim, reason="to see what happens")["task"]
    expect(stopped["desiredStatus"] == "STOPPED", f"{stopped}")
    ecs.get_waiter("tasks_stopped").wait(cluster=NAME, tasks=[victim], WaiterConfig=PROMPT)
    (task,) = ecs.describe_tasks(cluster=NAME, tasks=[victim])["tasks"]
    expect((task["stopCode"], task["stoppedReason"]) == ("UserInitiated", "to see what happens"), f"{task}")
    expect(task["containers"][0]["exitCode"] == 0, f"a task that is told to end must end well: {task['containers']}")
    stable()
    after = set(ecs.list_tasks(cluster=NAME, serviceName=NAME)["taskArns"])
    expect(len(after) == COUNT and victim not in after, f"{victim} of {before} was not replaced: {after}")


def tag(task_definition):
    cluster = ecs.describe_clusters(clusters=[NAME])["clusters"][0]["clusterArn"]
    for arn in (task_definition, service()["serviceArn"], cluster):
        ecs.tag_resource(resourceArn=arn, tags=[{"key": "gimmetime:who", "value": "ada"}])
        expect({"key": "gimmetime:who", "value": "ada"} in ecs.list_tags_for_resource(resourceArn=arn)["tags"], arn)
        ecs.untag_resource(resourceArn=arn, tagKeys=["gimmetime:who"])
        expect("gimmetime:who" not in str(ecs.list_tags_for_resource(resourceArn=arn)["tags"]), arn)


def be_refused(inactive):
    ecs.deregister_task_definition(taskDefinition=inactive)
    expect(inactive in ecs.list_task_definitions(status="INACTIVE")["taskDefinitionArns"], "nothing is inactive")
    revision = inactive.rsplit("/", 1)[1]
    for code, call, parameters in (
        ("ClusterNotFoundException", ecs.describe_services, {"cluster": "other", "services": [NAME]}),
        ("ClusterNotFoundException", ecs.list_tasks, {"cluster": "other"}),
        ("ServiceNotFoundException", ecs.update_service, {"cluster": NAME, "service": "other", "desiredCount": 1}),
        ("ClientException", ecs.update_service, {"cluster": NAME, "service": NAME, "taskDefinition": revision}),
        ("ClientException", ecs.update_service, {"cluster": NAME, "service": NAME, "taskDefinition": f"{NAME}:999"}),
        ("ClientException", ecs.describe_task_definition, {"taskDefinition": "other"}),
        ("InvalidParameterException", ecs.update_service, {"cluster": NAME, "service": NAME, "desiredCount": -1}),
        ("InvalidParameterException", ecs.stop_task, {"cluster": NAME, "task": "0" * 32}),
        ("InvalidParameterException", ecs.delete_service, {"cluster": NAME, "service": NAME}),
        ("UnknownOperationException", ecs.run_task, {"cluster": NAME, "taskDefinition": NAME}),
        ("TargetGroupNotFound", elbv2.describe_target_health, {"TargetGroupArn": GROUP["TargetGroupArn"] + "0"}),
        ("LoadBalancerNotFound", elbv2.describe_load_balancers, {"Names": ["other"]}),
        ("InvalidAction", elbv2.describe_rules, {"ListenerArn": "arn"}),
        ("ResourceNotFoundException", logs.filter_log_events, {"logGroupName": "/other"}),
        ("UnknownOperationException", logs.describe_resource_policies, {}),
    ):
        expect_error(code, call, **parameters)
    described = ecs.describe_services(cluster=NAME, services=["other"])
    expect([failure["reason"] for failure in described["failures"]] == ["MISSING"], f"{described}")
    described = ecs.describe_tasks(cluster=NAME, tasks=["0" * 32])
    expect([failure["reason"] for failure in described["failures"]] == ["MISSING"], f"{described}")
    expect(service()["desiredCount"] == COUNT, "what was refused has changed something")


def end_and_begin_again():
    """The service is deleted and made again, as a script that knows nothing of us would make it."""
    old = service()
    task_definition = old["taskDefinition"]
    ecs.delete_service(cluster=NAME, service=NAME, force=True)
    ecs.get_waiter("services_inactive").wait(cluster=NAME, services=[NAME], WaiterConfig=PROMPT)
    ecs.create_cluster(clusterName=NAME)
    ecs.create_service(
        cluster=NAME,
        serviceName=NAME,
        taskDefinition=task_definition,
        desiredCount=COUNT,
        loadBalancers=[{"targetGroupArn": GROUP["TargetGroupArn"], "containerName": "app", "containerPort": 8080}],
    )
    stable()


GROUP = elbv2.describe_target_groups(Names=[NAME])["TargetGroups"][0]


def main():
    stable()
    look_at_the_place()
    read_logs()
    first, bad = release()
    stop_one()
    tag(first)
    be_refused(bad)
    end_and_begin_again()
    print(f"{sum(REPLIES.values())} replies of {len(REPLIES)} operations, {len(PROBLEMS)} problems")
    print("\n".join(sorted(set(PROBLEMS))))
    return 1 if PROBLEMS else 0


if __name__ == "__main__":
    sys.exit(main())
