//! How a registry asks for credentials: `WWW-Authenticate` (RFC 9110, section 11.6.1), as Basic or Bearer has it.
//!
//! Lenient in reading, since the header comes from elsewhere: what is not understood is left out, never guessed.

/// Longest header that is read.
const MAX_LENGTH: usize = 8 << 10;

/// One way to authenticate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User name and password with each request.
    Basic,
    /// A token, which `realm` gives out.
    Bearer { realm: String, service: Option<String>, scopes: Vec<String> },
}

/// The ways that `header` offers, in its order; schemes that nobody here speaks are left out.
pub(crate) fn parse(header: &str) -> Vec<Challenge> {
    let mut rest = Reader(header.get(..MAX_LENGTH).unwrap_or(header));
    let mut challenges = Vec::new();
    while let Some(scheme) = rest.scheme() {
        let mut parameters = Vec::new();
        while let Some(parameter) = rest.parameter() {
            parameters.push(parameter);
        }
        rest.skip_to_challenge();
        challenges.extend(challenge(scheme, &parameters));
    }
    challenges
}

/// The one to answer: a token is worth less to a thief than a password.
pub(crate) fn choose<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Challenge> {
    let offered: Vec<Challenge> = headers.flat_map(parse).collect();
    let bearer = offered.iter().find(|challenge| matches!(challenge, Challenge::Bearer { .. }));
    bearer.or_else(|| offered.first()).cloned()
}

fn challenge(scheme: &str, parameters: &[(&str, String)]) -> Option<Challenge> {
    let value = |wanted: &str| {
        parameters.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.clone())
    };
    if scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    // Several scopes stand in one parameter, with spaces between them.
    let scopes = value("scope").unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect();
    value("realm").map(|realm| Challenge::Bearer { realm, service: value("service"), scopes })
}

/// What is left of a header.
struct Reader<'a>(&'a str);

impl<'a> Reader<'a> {
    /// The next word where a challenge may begin.
    fn scheme(&mut self) -> Option<&'a str> {
        self.0 = self.0.trim_start_matches([' ', '\t', ',']);
        self.word()
    }

    /// The next `name=value`; `None` at the end, and before a word without `=`: the next scheme.
    fn parameter(&mut self) -> Option<(&'a str, String)> {
        let mut ahead = Reader(self.0.trim_start_matches([' ', '\t', ',']));
        let name = ahead.word()?;
        ahead.0 = ahead.0.trim_start().strip_prefix('=')?.trim_start();
        let value = ahead.value()?;
        // A parameter ends here, or this was none: `abc=x y` is the rest of something else.
        let after = ahead.0.trim_start();
        if !after.is_empty() && !after.starts_with(',') {
            return None;
        }
        self.0 = ahead.0;
        Some((name, value))
    }

    /// Skips what is neither a parameter nor a scheme, such as the token of another scheme.
    fn skip_to_challenge(&mut self) {
        let ahead = self.0.trim_start_matches([' ', '\t']);
        if !ahead.is_empty() && !ahead.starts_with(',') {
            let next = Reader(ahead.trim_start_matches(',')).after_comma();
            self.0 = next;
        }
    }

    /// What follows the next comma outside of quotes.
    fn after_comma(&self) -> &'a str {
        let mut quoted = false;
        let mut escaped = false;
        for (at, byte) in self.0.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b',' if !quoted => return &self.0[at + 1..],
                _ => {}
            }
        }
        ""
    }

    /// A token of RFC 9110, section 5.6.2.
    fn word(&mut self) -> Option<&'a str> {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let length = self.0.bytes().take_while(|&byte| is_token(byte)).count();
        let (word, rest) = self.0.split_at(length);
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }

    /// A token, or a text in quotes with its escapes undone.
    fn value(&mut self) -> Option<String> {
        let Some(quoted) = self.0.strip_prefix('"') else { return self.bare_value() };
        let mut value = String::new();
        let mut characters = quoted.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.0 = &quoted[at + 1..];
                    return Some(value);
                }
                '\\' => value.push(characters.next()?.1),
                other => value.push(other),
            }
        }
        None
    }

    /// Some registries write addresses and scopes without quotes.
    fn bare_value(&mut self) -> Option<String> {
        let length = self.0.find([',', ' ', '\t', '"']).unwrap_or(self.0.len());
        let (value, rest) = self.0.split_at(length);
        self.0 = rest;
        (!value.is_empty()).then(|| value.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scopes: &[&str]) -> Challenge {
        let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned), scopes }
    }

    #[test]
    fn challenges_of_real_registries_are_understood() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        let hub_has = bearer("https://auth.docker.io/token", Some("registry.docker.io"), &["repository:a/b:pull,push"]);
        assert_eq!(parse(hub), [hub_has]);
        let silly = r#"Bearer realm="http://r/token",service="s",scope="repository:a/b:pull repository:a/b:push""#;
        assert_eq!(
            parse(silly),
            [bearer("http://r/token", Some("s"), &["repository:a/b:pull", "repository:a/b:push"])]
        );
        assert_eq!(
            parse(r#"Basic realm="https://1.dkr.ecr.eu-west-1.amazonaws.com/",service="ecr.amazonaws.com""#),
            [Challenge::Basic]
        );
        assert_eq!(parse("Basic"), [Challenge::Basic]);
    }

    #[test]
    fn odd_spelling_is_understood() {
        let has = bearer("https://r/t", Some("s"), &[]);
        for header in [
            r#"bearer REALM="https://r/t",Service=s"#,
            r#"  ,, Bearer   realm = "https://r/t" , service= "s" ,"#,
            r"Bearer realm=https://r/t, service=s",
            r#"Bearer error="invalid_token, \"really\"", realm="https://r/t", service="s""#,
        ] {
            assert_eq!(parse(header), std::slice::from_ref(&has), "{header}");
        }
    }

    #[test]
    fn several_challenges_in_one_header_are_told_apart() {
        let header = r#"Negotiate YWJj==, Basic realm="x, y", Digest qop="auth", Bearer realm="https://r/t""#;
        assert_eq!(parse(header), [Challenge::Basic, bearer("https://r/t", None, &[])]);
        assert_eq!(choose([header].into_iter()), Some(bearer("https://r/t", None, &[])));
        assert_eq!(choose(["Basic realm=x", "Negotiate"].into_iter()), Some(Challenge::Basic));
        assert_eq!(choose(["Negotiate"].into_iter()), None);
    }

    #[test]
    fn a_bearer_without_a_realm_offers_nothing() {
        for header in
            ["Bearer", "Bearer realm", "Bearer realm=", r#"Bearer realm="unended"#, r#"Bearer service="s""#, "", ",,,"]
        {
            assert_eq!(parse(header), [], "{header}");
        }
    }

    proptest! {
        #[test]
        fn a_challenge_is_read_as_it_was_written(
            realm in "[ -~]{1,30}", service in "[ -~]{0,20}", scopes in prop::collection::vec("[!-~]{1,12}", 0..4),
        ) {
            let quote = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
            let header = format!(
                "Bearer realm=\"{}\",service=\"{}\",scope=\"{}\", Basic realm=\"x\"",
                quote(&realm), quote(&service), quote(&scopes.join(" ")),
            );
            let bearer = Challenge::Bearer { realm, service: Some(service), scopes };
            prop_assert_eq!(parse(&header), [bearer, Challenge::Basic]);
        }

        #[test]
        fn no_header_makes_the_parser_panic(header in r#"[ -~é]{0,80}|([ ,="\\]|Bearer|Basic|realm|x){0,40}"#) {
            let _ = parse(&header);
        }
    }
}
