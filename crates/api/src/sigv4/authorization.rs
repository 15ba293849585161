//! The `Authorization` header, taken apart.

use gimmetime_scheduler::model::REGION;
use http::{HeaderMap, header};

use super::{ALGORITHM, AMZ_DATE, AMZ_TARGET, SignatureError};
use crate::Service;

/// Most headers that may be signed.
const SIGNED_HEADERS_LIMIT: usize = 64;

/// `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Authorization {
    pub(super) access_key: String,
    /// Day, region, service, `aws4_request`.
    scope: [String; 4],
    /// In lower case, in ascending order, none twice.
    pub(super) signed_headers: Vec<String>,
    pub(super) signature: [u8; 32],
}

impl Authorization {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, SignatureError> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let value = values.next().ok_or(SignatureError::Missing)?;
        if values.next().is_some() {
            return Err(incomplete("expected one Authorization header, found several"));
        }
        let value = value.to_str().map_err(|_| incomplete("the Authorization header is not text"))?;
        Self::parse(value)
    }

    pub(super) fn parse(value: &str) -> Result<Self, SignatureError> {
        let rest = value
            .strip_prefix(ALGORITHM)
            .filter(|rest| rest.starts_with(' '))
            .ok_or_else(|| incomplete("Authorization header requires the algorithm 'AWS4-HMAC-SHA256'."))?;
        let field = |name: &str| {
            let mut found = rest.split(',').filter_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
            match (found.next(), found.next()) {
                (Some(text), None) => Ok(text),
                _ => Err(incomplete(&format!("Authorization header requires '{name}' parameter."))),
            }
        };
        let (access_key, scope) = split_credential(field("Credential")?)?;
        let signed_headers = split_signed_headers(field("SignedHeaders")?)?;
        let signature = parse_signature(field("Signature")?)
            .ok_or_else(|| incomplete("Authorization header requires 'Signature' of 64 hex digits."))?;
        Ok(Self { access_key, scope, signed_headers, signature })
    }

    /// That what makes the request what it is, is under the signature.
    pub(super) fn check_signs(&self, headers: &HeaderMap) -> Result<(), SignatureError> {
        let signs = |name: &str| self.signed_headers.iter().any(|signed| signed == name);
        let must = |name: &str| {
            if signs(name) {
                Ok(())
            } else {
                Err(incomplete(&format!("'{name}' must be a 'SignedHeader' in the Authorization.")))
            }
        };
        must("host")?;
        must(if headers.contains_key(AMZ_DATE) { AMZ_DATE } else { "date" })?;
        if headers.contains_key(AMZ_TARGET) {
            must(AMZ_TARGET)?;
        }
        match self.signed_headers.iter().find(|name| !headers.contains_key(name.as_str())) {
            Some(name) => Err(incomplete(&format!("signed header '{name}' is not in the request"))),
            None => Ok(()),
        }
    }

    pub(super) fn check_scope(&self, service: Service, date: &str) -> Result<(), SignatureError> {
        let [day, region, called, last] = &self.scope;
        let wrong = |message: String| Err(SignatureError::Scope(message));
        if region != REGION {
            return wrong(format!(
                "Credential should be scoped to a valid region: expected `{REGION}`, found `{region}`."
            ));
        }
        if called != service.signing_name() {
            return wrong(format!("Credential should be scoped to correct service: '{}'.", service.signing_name()));
        }
        if last != "aws4_request" {
            return wrong("Credential should be scoped with a valid terminator: 'aws4_request'.".to_owned());
        }
        if !date.starts_with(day.as_str()) || day.len() != 8 {
            return wrong(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: `{day}` and `{date}`."
            ));
        }
        Ok(())
    }
}

fn incomplete(message: &str) -> SignatureError {
    SignatureError::Incomplete(message.to_owned())
}

/// An access key may itself contain slashes; the scope's four parts do not.
fn split_credential(credential: &str) -> Result<(String, [String; 4]), SignatureError> {
    let malformed = || incomplete("Credential must have exactly 5 slash-delimited elements.");
    let mut parts: Vec<String> = credential.rsplitn(5, '/').map(str::to_owned).collect();
    parts.reverse();
    let [access_key, day, region, service, last]: [String; 5] = parts.try_into().map_err(|_| malformed())?;
    Ok((access_key, [day, region, service, last]))
}

fn split_signed_headers(list: &str) -> Result<Vec<String>, SignatureError> {
    let names: Vec<String> = list.split(';').map(str::to_owned).collect();
    let is_name = |name: &String| !name.is_empty() && !name.bytes().any(|byte| byte.is_ascii_uppercase());
    if names.len() <= SIGNED_HEADERS_LIMIT && names.iter().all(is_name) && names.is_sorted_by(|a, b| a < b) {
        Ok(names)
    } else {
        Err(incomplete("SignedHeaders must be lower-case names in ascending order, separated by ';'."))
    }
}

fn parse_signature(hex: &str) -> Option<[u8; 32]> {
    let mut signature = [0; 32];
    if hex.len() != 64 || !hex.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, pair) in signature.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(signature)
}
