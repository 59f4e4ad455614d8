//! The address of a client, through proxies that are trusted and no others.

use std::{fmt, net::IpAddr, str::FromStr};

/// More hops than this are not looked at: no chain of our own proxies is so long.
const HOPS_MAX: usize = 16;

/// A network, `10.0.0.0/8`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether the address lies in it. An IPv4 address that came over an IPv6 socket counts as
    /// IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(of)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                net.to_bits() & mask == of.to_bits() & mask
            }
            (IpAddr::V6(net), IpAddr::V6(of)) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(self.bits))
                    .unwrap_or(0);
                net.to_bits() & mask == of.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let bad = || BadNetwork(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse().map_err(|_| bad())?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(most);
        (bits <= most)
            .then_some(Self { address, bits })
            .ok_or_else(bad)
    }
}

/// A text that is no network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadNetwork(String);

impl fmt::Display for BadNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text) = self;
        write!(
            f,
            "`{text}` is not a network; expected one like 10.0.0.0/8 or 127.0.0.1"
        )
    }
}

impl std::error::Error for BadNetwork {}

/// The address of the client of a request that came from `peer` with these `x-forwarded-for`
/// headers: the rightmost hop that is not one of `trusted`. A peer that is not trusted is the
/// client, whatever it writes.
pub fn client<'a>(
    peer: IpAddr,
    trusted: &[Network],
    forwarded: impl DoubleEndedIterator<Item = &'a str>,
) -> IpAddr {
    let is_trusted = |address| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    if trusted.is_empty() || !is_trusted(client) {
        return client;
    }
    let hops = forwarded.rev().flat_map(|value| value.rsplit(','));
    for hop in hops.take(HOPS_MAX) {
        // What a trusted proxy could not have written ends the chain: the last good hop stands.
        let Some(address) = address(hop.trim()) else {
            break;
        };
        client = address.to_canonical();
        if !is_trusted(client) {
            break;
        }
    }
    client
}

/// A hop, with or without a port: `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]:80`.
fn address(hop: &str) -> Option<IpAddr> {
    let socket = || hop.parse::<std::net::SocketAddr>().ok().map(|it| it.ip());
    let bare = hop
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(hop).parse().ok().or_else(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(peer: &str, forwarded: &[&str]) -> String {
        let trusted: Vec<Network> = ["10.0.0.0/8", "127.0.0.1", "fd00::/8"]
            .map(|text| text.parse().unwrap())
            .to_vec();
        client(peer.parse().unwrap(), &trusted, forwarded.iter().copied()).to_string()
    }

    #[test]
    fn only_what_trusted_proxies_wrote_is_believed() {
        for (peer, forwarded, expected) in [
            ("192.0.2.7", &["203.0.113.1"][..], "192.0.2.7"),
            ("10.0.0.1", &["203.0.113.1"], "203.0.113.1"),
            (
                "10.0.0.1",
                &["6.6.6.6, 203.0.113.1, 10.0.0.9"],
                "203.0.113.1",
            ),
            (
                "10.0.0.1",
                &["6.6.6.6", "203.0.113.1, 10.0.0.9"],
                "203.0.113.1",
            ),
            ("10.0.0.1", &["nonsense, 10.0.0.9"], "10.0.0.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("::ffff:10.0.0.1", &["203.0.113.1:4711"], "203.0.113.1"),
            ("fd00::1", &["[2001:db8::1]:80"], "2001:db8::1"),
            ("127.0.0.1", &["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
        ] {
            assert_eq!(of(peer, forwarded), expected, "{peer} {forwarded:?}");
        }
        let nobody = client("127.0.0.1".parse().unwrap(), &[], ["6.6.6.6"].into_iter());
        assert_eq!(nobody.to_string(), "127.0.0.1");
        let long = vec!["10.0.0.2"; 1000].join(",");
        assert_eq!(of("10.0.0.1", &[&format!("6.6.6.6,{long}")]), "10.0.0.2");
    }

    #[test]
    fn networks_are_read_strictly() {
        for good in ["0.0.0.0/0", "10.0.0.0/8", "::/0", "127.0.0.1", "fd00::/8"] {
            assert!(good.parse::<Network>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "10.0.0.0/33",
            "10.0.0/8",
            "fd00::/129",
            "local",
            "1.2.3.4/x",
        ] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("8.8.8.8".parse().unwrap()));
        assert!(!all.contains("::1".parse().unwrap()));
    }
}
