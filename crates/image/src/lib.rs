//! Packs a static executable as a reproducible OCI image.
