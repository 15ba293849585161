//! The time service that this program carries (see build.rs), and what it is made of.

use gimmetime_image::sbom::Component;

/// The static executable `gimmetime-server`; empty where none could be built.
pub(crate) const SERVER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/gimmetime-server"));

/// The crates that are linked into it, a line for each: name, version, licence, sha256 of its package.
const CRATES: &str = include_str!(concat!(env!("OUT_DIR"), "/gimmetime-server.crates"));

/// The crates that are linked into [`SERVER`]; those of this project have no package.
pub(crate) fn crates() -> Vec<Component> {
    let component = |line: &str| {
        let mut fields = line.split('\t').map(|field| Some(field.to_owned()).filter(|field| !field.is_empty()));
        let mut field = || fields.next().flatten();
        let (name, version) = (field().unwrap_or_default(), field().unwrap_or_default());
        let (licence, sha256) = (field(), field());
        Component { name, version, is_published: sha256.is_some(), licence, sha256 }
    };
    CRATES.lines().map(component).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_crate_is_told_with_its_version_its_licence_and_its_package() {
        let crates = crates();
        assert!(8 <= crates.len(), "{crates:?}");
        for listed in &crates {
            assert!(!listed.name.is_empty() && listed.version.split('.').count() >= 3, "{listed:?}");
            assert!(listed.licence.is_some(), "{listed:?}");
            assert_eq!(listed.is_published, !listed.name.starts_with("gimmetime-"), "{listed:?}");
        }
        let named = |name: &str| crates.iter().any(|listed| listed.name == name);
        assert!(named("gimmetime-server") && named("mio"));
        assert!(!named("serde_derive") && !named("gimmetime"), "only what is linked: {crates:?}");
    }
}
