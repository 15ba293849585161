//! IPv4 ranges: read, written as AWS writes them, cut into subnets.

use std::fmt;
use std::net::Ipv4Addr;

/// An IPv4 range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    /// Its first address.
    pub(super) first: Ipv4Addr,
    /// Bits that all its addresses share.
    pub(super) bits: u8,
}

impl Range {
    /// Reads `10.42.0.0/16`. Bits beyond the mask are cut off: compare with what was written.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        let (address, bits): (Ipv4Addr, u8) = (address.parse().ok()?, bits.parse().ok()?);
        let host_bits = 32_u32.checked_sub(u32::from(bits))?;
        let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
        Some(Self { first: Ipv4Addr::from(u32::from(address) & mask), bits })
    }

    /// One of eight equal parts: the first four are public subnets, the others private ones.
    pub(super) fn eighth(self, index: u8) -> Self {
        let bits = self.bits + 3;
        Self { first: Ipv4Addr::from(u32::from(self.first) + (u32::from(index) << (32 - bits))), bits }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_into_eight_that_do_not_overlap() {
        let range = Range::read("10.42.0.0/16").unwrap();
        let parts: Vec<String> = (0..8).map(|index| range.eighth(index).to_string()).collect();
        assert_eq!(parts[..2], ["10.42.0.0/19", "10.42.32.0/19"]);
        assert_eq!(parts[7], "10.42.224.0/19");
        assert_eq!(Range::read("10.0.0.0/24").unwrap().eighth(7).to_string(), "10.0.0.224/27");
    }

    #[test]
    fn what_is_no_range_is_not_read() {
        for wrong in ["10.0.0.0", "10.0.0.0/33", "10.0.0/8", "::/0", "x/8", "10.0.0.0/-1"] {
            assert_eq!(Range::read(wrong), None, "{wrong}");
        }
        assert_eq!(Range::read("10.42.7.9/16").unwrap().to_string(), "10.42.0.0/16");
        assert_eq!(Range::read("1.2.3.4/0").unwrap().to_string(), "0.0.0.0/0");
    }
}
