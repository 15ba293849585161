"""Prints whatever the account holds of a place, a line each: what bears its name, or is tagged with it."""

import json
import sys

import boto3

NAME = sys.argv[1]

LISTED = [
    ("cloudformation", "describe_stacks", "Stacks", {}),
    ("ec2", "describe_vpcs", "Vpcs", {}),
    ("ec2", "describe_subnets", "Subnets", {}),
    ("ec2", "describe_internet_gateways", "InternetGateways", {}),
    ("ec2", "describe_route_tables", "RouteTables", {}),
    ("ec2", "describe_security_groups", "SecurityGroups", {}),
    ("ec2", "describe_vpc_endpoints", "VpcEndpoints", {}),
    ("elbv2", "describe_load_balancers", "LoadBalancers", {}),
    ("elbv2", "describe_target_groups", "TargetGroups", {}),
    ("ecs", "list_clusters", "clusterArns", {}),
    ("ecs", "list_task_definitions", "taskDefinitionArns", {"status": "ACTIVE"}),
    ("ecr", "describe_repositories", "repositories", {}),
    ("logs", "describe_log_groups", "logGroups", {}),
    ("iam", "list_roles", "Roles", {}),
    ("events", "list_rules", "Rules", {}),
]

for service, call, key, arguments in LISTED:
    for item in getattr(boto3.client(service), call)(**arguments)[key]:
        text = json.dumps(item, default=str, sort_keys=True)
        if NAME in text:
            print(service, call, text[:160])
