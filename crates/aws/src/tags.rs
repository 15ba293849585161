//! Labels on the stack, and with it on everything in it.

/// Whose label it is: the place's name. A stack without it was not made by this program.
pub const NAME: &str = "gimmetime:name";
/// Who made the place.
pub const OWNER: &str = "gimmetime:owner";
/// The version of the place's layout.
pub const PLACE: &str = "gimmetime:place";
/// The region of the place, on its roles: those alone are of no region.
pub(crate) const REGION: &str = "gimmetime:region";
