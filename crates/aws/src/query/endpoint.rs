//! Where a service is asked, and how requests to it are signed.

use aws_types::SdkConfig;
use aws_types::service_config::ServiceConfigKey;

/// A service that is asked without an SDK crate of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Ec2,
    Iam,
    Balancing,
    Metrics,
    Logs,
    Events,
    Tagging,
    Quotas,
}

impl Service {
    /// The version of a form call; the prefix of a JSON call's target.
    pub(super) fn version(self) -> &'static str {
        match self {
            Self::Ec2 => "2016-11-15",
            Self::Iam => "2010-05-08",
            Self::Balancing => "2015-12-01",
            Self::Metrics => "2010-08-01",
            Self::Logs => "Logs_20140328",
            Self::Events => "AWSEvents",
            Self::Tagging => "ResourceGroupsTaggingAPI_20170126",
            Self::Quotas => "ServiceQuotasV20190624",
        }
    }

    /// The name in a signature, which is also that of the host.
    pub(super) fn signing_name(self) -> &'static str {
        match self {
            Self::Ec2 => "ec2",
            Self::Iam => "iam",
            Self::Balancing => "elasticloadbalancing",
            Self::Metrics => "monitoring",
            Self::Logs => "logs",
            Self::Events => "events",
            Self::Tagging => "tagging",
            Self::Quotas => "servicequotas",
        }
    }

    /// The SDKs' id of the service: `AWS_ENDPOINT_URL_` and this in capitals overrides its endpoint.
    fn id(self) -> &'static str {
        match self {
            Self::Ec2 => "EC2",
            Self::Iam => "IAM",
            Self::Balancing => "Elastic Load Balancing v2",
            Self::Metrics => "CloudWatch",
            Self::Logs => "CloudWatch Logs",
            Self::Events => "EventBridge",
            Self::Tagging => "Resource Groups Tagging API",
            Self::Quotas => "Service Quotas",
        }
    }
}

/// The URL of a service: what the environment says, else AWS's.
pub(super) fn resolve(config: &SdkConfig, service: Service) -> String {
    let own = ServiceConfigKey::builder().service_id(service.id()).profile("endpoint_url").env("AWS_ENDPOINT_URL");
    let own = own.build().ok().and_then(|key| config.service_config()?.load_config(key));
    // An endpoint set in code beats the environment, as it does in the SDK.
    let of_all = config.endpoint_url().map(str::to_owned);
    let is_set_in_code = config.get_origin("endpoint_url").is_client_config();
    let url = if is_set_in_code { of_all } else { own.or(of_all) };
    let url = url.unwrap_or_else(|| aws_url(service, config.region().map_or("us-east-1", AsRef::as_ref)));
    if url.trim_start_matches("https://").trim_start_matches("http://").contains('/') { url } else { format!("{url}/") }
}

/// IAM is one per partition and signs with a region of its own; all others are where the place is.
pub(super) fn signing_region(config: &SdkConfig, service: Service) -> String {
    let region = config.region().map_or("us-east-1", AsRef::as_ref);
    match service {
        Service::Iam => partition(region).home.to_owned(),
        _ => region.to_owned(),
    }
}

struct Partition {
    suffix: &'static str,
    home: &'static str,
    iam: &'static str,
}

fn partition(region: &str) -> Partition {
    if region.starts_with("cn-") {
        Partition { suffix: "amazonaws.com.cn", home: "cn-north-1", iam: "iam.cn-north-1.amazonaws.com.cn" }
    } else if region.starts_with("us-gov-") {
        Partition { suffix: "amazonaws.com", home: "us-gov-west-1", iam: "iam.us-gov.amazonaws.com" }
    } else if region.starts_with("eusc-") {
        Partition { suffix: "amazonaws.eu", home: "eusc-de-east-1", iam: "iam.eusc-de-east-1.amazonaws.eu" }
    } else {
        Partition { suffix: "amazonaws.com", home: "us-east-1", iam: "iam.amazonaws.com" }
    }
}

fn aws_url(service: Service, region: &str) -> String {
    let partition = partition(region);
    match service {
        Service::Iam => format!("https://{}/", partition.iam),
        _ => format!("https://{}.{region}.{}/", service.signing_name(), partition.suffix),
    }
}

/// The host that an account's images are pulled from in a region: `123456789012.dkr.ecr.eu-west-1.amazonaws.com`.
pub fn registry_host(account: &str, region: &str) -> String {
    format!("{account}.dkr.ecr.{region}.{}", partition(region).suffix)
}

/// Escapes for a form: everything but letters, digits and `-_.~`.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.extend(["%", &format!("{byte:02X}")]);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parts::{client, python};

    #[test]
    fn services_are_asked_where_aws_says_and_signed_for_as_it_says() {
        // botocore names a service by words of its own.
        const SERVICES: [(Service, &str); 8] = [
            (Service::Ec2, "ec2"),
            (Service::Iam, "iam"),
            (Service::Balancing, "elbv2"),
            (Service::Metrics, "cloudwatch"),
            (Service::Logs, "logs"),
            (Service::Events, "events"),
            (Service::Tagging, "resourcegroupstaggingapi"),
            (Service::Quotas, "service-quotas"),
        ];
        const REGIONS: [&str; 7] = [
            "eu-west-1",
            "us-east-1",
            "cn-north-1",
            "cn-northwest-1",
            "us-gov-east-1",
            "us-gov-west-1",
            "eusc-de-east-1",
        ];
        const SCRIPT: &str = "
import json, sys, botocore.session
session, told = botocore.session.get_session(), []
for name, region in json.load(sys.stdin):
    it = session.create_client(name, region_name=region, aws_access_key_id='x', aws_secret_access_key='x')
    signs = it._request_signer
    told.append([it.meta.endpoint_url + '/', signs.region_name, signs.signing_name])
print(json.dumps(told))
";
        let all = || SERVICES.into_iter().flat_map(|(service, name)| REGIONS.map(|region| (service, name, region)));
        let asked: Vec<_> = all().map(|(_, name, region)| (name, region)).collect();
        let told = python(client("python"), SCRIPT, &serde_json::to_string(&asked).unwrap());
        let told: Vec<[String; 3]> = serde_json::from_str(&told).unwrap();
        for ((service, name, region), [url, signing_region, signing_name]) in all().zip(told) {
            let config = SdkConfig::builder().region(aws_types::region::Region::new(region)).build();
            assert_eq!(aws_url(service, region), url, "{name} in {region}");
            let signed = (super::signing_region(&config, service), service.signing_name());
            assert_eq!(signed, (signing_region, signing_name.as_str()), "{name} in {region}");
        }
    }

    #[test]
    fn iam_is_one_per_partition_and_all_others_are_regional() {
        assert_eq!(aws_url(Service::Ec2, "eu-west-1"), "https://ec2.eu-west-1.amazonaws.com/");
        assert_eq!(aws_url(Service::Iam, "eu-west-1"), "https://iam.amazonaws.com/");
        assert_eq!(aws_url(Service::Quotas, "cn-north-1"), "https://servicequotas.cn-north-1.amazonaws.com.cn/");
        assert_eq!(aws_url(Service::Iam, "us-gov-east-1"), "https://iam.us-gov.amazonaws.com/");
    }

    #[test]
    fn images_are_pulled_from_a_host_of_the_regions_own_partition() {
        for (region, host) in [
            ("eu-west-1", "1.dkr.ecr.eu-west-1.amazonaws.com"),
            ("us-gov-east-1", "1.dkr.ecr.us-gov-east-1.amazonaws.com"),
            ("cn-north-1", "1.dkr.ecr.cn-north-1.amazonaws.com.cn"),
            ("eusc-de-east-1", "1.dkr.ecr.eusc-de-east-1.amazonaws.eu"),
        ] {
            assert_eq!(registry_host("1", region), host);
        }
    }

    #[test]
    fn a_form_escapes_all_that_could_end_a_value() {
        assert_eq!(escape("tag:gimmetime:name=a&b c/é"), "tag%3Agimmetime%3Aname%3Da%26b%20c%2F%C3%A9");
    }
}
