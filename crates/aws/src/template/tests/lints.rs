//! What cfn-lint and checkov say of every combination of capabilities.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::iam::{GitHub, Provider, Scope, github};
use crate::parts::{linter, succeeded};
use crate::samples::{default_place, pairwise, service_of};
use crate::spec::{PlaceSpec, Roles};
use crate::template::{template, whole};

/// Checks of checkov that fail, each with its reason. Everything else passes.
const EXCEPTIONS: [(&str, &str); 7] = [
    (
        "CKV_AWS_260",
        "a time server is for everybody by default; `ingress` says who may connect, and `plan` says it loud",
    ),
    ("CKV_AWS_2", "the listener speaks plain HTTP, and `plan` says so"),
    ("CKV_AWS_103", "the same: without TLS there is no version of it"),
    ("CKV_AWS_91", "access logs need a bucket, which outlives the stack and is billed; the tasks' own logs are kept"),
    ("CKV_AWS_65", "Container Insights are billed as custom metrics, a third of what the tasks cost and more"),
    ("CKV_AWS_158", "a key of one's own is a dollar a month and a policy to keep; AWS encrypts log groups anyway"),
    ("CKV_AWS_136", "the same for the repository"),
];

/// Places whose names and paths are as short and as long as they may be.
fn extreme() -> [PlaceSpec; 2] {
    let long = format!("Web-{}", "x".repeat(28));
    let roles = Roles { path: Some(format!("/{}/", "p".repeat(510))), ..Roles::default() };
    [
        PlaceSpec { name: "a1".to_owned(), ..default_place() },
        PlaceSpec { name: long, health: format!("/{}", "h".repeat(1023)), roles, ..default_place() },
    ]
}

/// Every combination as a file in a folder of its own.
fn folder() -> (tempfile::TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    let places = pairwise().into_iter().chain(extreme());
    let mut texts: Vec<String> = places.map(|place| whole(&place, &service_of(&place), "X86_64").unwrap()).collect();
    texts.push(template(&default_place()).unwrap().text);
    let scope = Scope::of(&default_place(), "123456789012");
    for provider in [
        Provider::Made,
        Provider::Existing("arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com".to_owned()),
    ] {
        let from = GitHub { repository: "acme/time".to_owned(), branch: "main".to_owned(), provider };
        texts.push(github(&scope, &from));
    }
    let write = |(index, text): (usize, String)| {
        let path = folder.path().join(format!("place-{index}.yaml"));
        std::fs::write(&path, text).unwrap();
        path
    };
    let paths = texts.into_iter().enumerate().map(write).collect();
    (folder, paths)
}

#[test]
fn cfn_lint_finds_nothing_in_five_regions() {
    let (_folder, paths) = folder();
    let regions = ["us-east-1", "us-west-2", "eu-west-1", "eu-central-1", "ap-southeast-2"];
    let output = linter("cfn-lint").arg("--regions").args(regions).arg("--").args(paths).output().unwrap();
    assert_eq!(succeeded(&output), "");
}

#[test]
fn checkov_finds_exactly_what_is_meant() {
    let (folder, paths) = folder();
    let output = linter("checkov")
        .args(["--skip-download", "--compact", "--soft-fail", "--framework", "cloudformation", "--output", "json"])
        .arg("--directory")
        .arg(folder.path())
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_str(&succeeded(&output)).unwrap();
    let failed = report["results"]["failed_checks"].as_array().unwrap();
    let failed: BTreeSet<&str> = failed.iter().map(|check| check["check_id"].as_str().unwrap()).collect();
    assert_eq!(failed, EXCEPTIONS.iter().map(|(check, _)| *check).collect());
    assert_eq!(report["results"]["parsing_errors"], serde_json::json!([]));
    let passed = report["results"]["passed_checks"].as_array().unwrap();
    let files: BTreeSet<&str> = passed.iter().map(|check| check["file_path"].as_str().unwrap()).collect();
    assert_eq!(files.len(), paths.len(), "every file was looked at");
}
