//! References to secrets, and what the execution role may fetch because of them: exactly these.

use std::collections::BTreeSet;

use super::fill::{Values, fill, scalar, sub};

/// What a reference points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Store {
    /// SSM's Parameter Store.
    Parameters,
    /// Secrets Manager.
    Secrets,
}

/// A reference to a secret, as settings have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference<'a> {
    pub(super) store: Store,
    /// Region and account of an ARN; None for a name, which is looked up where the place is.
    arn: Option<&'a str>,
    /// The name in its store.
    name: &'a str,
    /// What ECS takes out of the secret: `:json-key:version-stage:version-id`. Empty for all of it.
    part: &'a str,
}

/// Reads `ssm:NAME`, `secretsmanager:NAME`, or an ARN of either. The error says what is expected.
pub(super) fn read(reference: &str) -> Result<Reference<'_>, &'static str> {
    const EXPECTED: &str = "expected `ssm:/NAME`, `secretsmanager:NAME`, or the ARN of a parameter or secret";
    let (store, arn, rest) = if let Some(name) = reference.strip_prefix("ssm:") {
        (Store::Parameters, None, name)
    } else if let Some(name) = reference.strip_prefix("secretsmanager:") {
        (Store::Secrets, None, name)
    } else {
        let fields: Vec<&str> = reference.splitn(7, ':').collect();
        match fields[..] {
            ["arn", _, "ssm", _, _, name] if name.starts_with("parameter/") => {
                (Store::Parameters, Some(reference), &name["parameter/".len()..])
            }
            ["arn", _, "secretsmanager", _, _, "secret", name] => (Store::Secrets, Some(reference), name),
            _ => return Err(EXPECTED),
        }
    };
    let (name, part) = match (store, rest.find(':')) {
        (Store::Secrets, Some(colon)) => rest.split_at(colon),
        _ => (rest, ""),
    };
    let legal =
        |c: char| c.is_ascii_alphanumeric() || "_.-/".contains(c) || store == Store::Secrets && "+=@".contains(c);
    // The limit is the longest that one of them takes; `*` and `?` would open more than one secret.
    if name.trim_start_matches('/').is_empty() || name.len() > 1011 || !name.chars().all(legal) {
        return Err("expected a name of letters, digits and `_.-/`");
    }
    Ok(Reference { store, arn, name, part })
}

impl Reference<'_> {
    /// What the role must be allowed to fetch, as YAML. Secrets Manager puts six characters after a name, and an ARN may
    /// lack them.
    fn resource(&self) -> String {
        let bears_suffix = self.name.rsplit_once('-').is_some_and(|(_, end)| end.len() == 6);
        let suffix = match self.store {
            Store::Secrets if self.arn.is_none() || !bears_suffix => "-??????",
            _ => "",
        };
        match self.arn {
            Some(arn) => scalar(&format!("{}{suffix}", &arn[..arn.len() - self.part.len()])),
            None => sub(self.store.arn(), &format!("{}{suffix}", self.name.trim_start_matches('/'))),
        }
    }

    /// What ECS takes as `ValueFrom`, as YAML.
    pub(super) fn value_from(&self) -> String {
        match self.arn {
            Some(arn) => scalar(arn),
            None => sub(self.store.arn(), &format!("{}{}", self.name.trim_start_matches('/'), self.part)),
        }
    }
}

impl Store {
    /// What the ARN of a name begins with.
    fn arn(self) -> &'static str {
        match self {
            Self::Parameters => "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter/",
            Self::Secrets => "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:",
        }
    }

    /// The API's name in endpoints.
    pub(super) fn service(self) -> &'static str {
        match self {
            Self::Parameters => "ssm",
            Self::Secrets => "secretsmanager",
        }
    }

    fn action(self) -> &'static str {
        match self {
            Self::Parameters => "ssm:GetParameters",
            Self::Secrets => "secretsmanager:GetSecretValue",
        }
    }

    /// The key under which KMS is told for which secret it decrypts.
    fn context(self) -> &'static str {
        match self {
            Self::Parameters => "kms:EncryptionContext:PARAMETER_ARN",
            Self::Secrets => "kms:EncryptionContext:SecretARN",
        }
    }
}

/// The stores that references point to.
pub(super) fn stores(references: &BTreeSet<String>) -> BTreeSet<Store> {
    references.iter().filter_map(|reference| Some(read(reference).ok()?.store)).collect()
}

/// The policy that lets a role fetch exactly these references, as lines of YAML; none for no references.
pub(super) fn policy(references: &BTreeSet<String>) -> Vec<String> {
    let read: Vec<Reference<'_>> = references.iter().filter_map(|reference| read(reference).ok()).collect();
    let statements: Vec<String> = stores(references)
        .into_iter()
        .flat_map(|store| {
            let of_store = read.iter().filter(|reference| reference.store == store);
            // Two parts of one secret are one resource.
            let resources: BTreeSet<String> = of_store.map(|reference| format!("- {}", reference.resource())).collect();
            let values = Values::default()
                .yaml("action", store.action())
                .yaml("context", store.context())
                .yaml("service", store.service())
                .lines("resources", resources.into_iter().collect());
            lines(&fill(include_str!("fragments/roles/secret_store.yaml"), &values))
        })
        .collect();
    if statements.is_empty() {
        return Vec::new();
    }
    lines(&fill(include_str!("fragments/roles/secrets.yaml"), &Values::default().lines("statements", statements)))
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(reference: &str, resource: &str, value_from: &str) {
        let read = read(reference).unwrap();
        assert_eq!((read.resource().as_str(), read.value_from().as_str()), (resource, value_from));
    }

    #[test]
    fn names_become_arns_where_the_place_is() {
        let parameter = r#"!Sub "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter/time/key""#;
        check("ssm:/time/key", parameter, parameter);
        check("ssm:time/key", parameter, parameter);
        let secret = "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:db";
        check("secretsmanager:db:user::", &format!("!Sub \"{secret}-??????\""), &format!("!Sub \"{secret}:user::\""));
    }

    #[test]
    fn an_arn_is_meant_as_it_is_but_for_the_part_that_ecs_takes_out() {
        let parameter = "arn:aws:ssm:eu-west-1:123456789012:parameter/time/key";
        check(parameter, &scalar(parameter), &scalar(parameter));
        let secret = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf";
        check(&format!("{secret}:user::"), &scalar(secret), &scalar(&format!("{secret}:user::")));
        let short = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db";
        check(short, &scalar(&format!("{short}-??????")), &scalar(short));
    }

    #[test]
    fn what_would_open_more_than_one_secret_is_refused() {
        for wrong in [
            "ssm:/time/*",
            "ssm:",
            "ssm:/",
            "secretsmanager:?",
            "file:/run/key",
            "arn:aws:s3:::bucket",
            "key",
            "ssm:a:1",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
