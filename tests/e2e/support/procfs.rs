//! What the kernel says about processes, in /proc (proc(5)).

use std::fs;
use std::net::{IpAddr, SocketAddr};

/// The processes that `parent` has started and that are not yet gone.
pub fn children_of(parent: u32) -> Vec<u32> {
    numbers_in("/proc").into_iter().filter(|&id| parent_of(id) == Some(parent)).collect()
}

/// The command line of a process; none if it has ended.
pub fn arguments_of(id: u32) -> Vec<String> {
    let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0).map(|argument| String::from_utf8_lossy(argument).into_owned()).collect()
}

/// Whether the process, or a child of it, holds the UDP socket that is bound to `address`.
pub fn holds_udp_socket(process: u32, address: SocketAddr) -> bool {
    let Some(inode) =
        udp_sockets().into_iter().find_map(|(local, inode)| (local == address).then_some(inode))
    else {
        return false;
    };
    let target = format!("socket:[{inode}]");
    std::iter::once(process).chain(children_of(process)).any(|id| {
        let folder = format!("/proc/{id}/fd");
        let mut files = numbers_in(&folder).into_iter();
        files.any(|file| {
            fs::read_link(format!("{folder}/{file}")).is_ok_and(|link| link.as_os_str() == target.as_str())
        })
    })
}

/// How many files a process has open, and how many threads it has.
pub fn holdings(id: u32) -> (usize, usize) {
    let count = |what: &str| numbers_in(&format!("/proc/{id}/{what}")).len();
    (count("fd"), count("task"))
}

/// Field 4 of /proc/ID/stat; the name in field 2 may hold anything, so it is skipped by its bracket.
fn parent_of(id: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Local address and inode of each socket.
fn udp_sockets() -> Vec<(SocketAddr, String)> {
    let tables =
        ["/proc/net/udp", "/proc/net/udp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    tables.iter().flat_map(|table| table.lines()).filter_map(udp_socket).collect()
}

/// `sl local_address rem_address st queues timer retransmits uid timeout inode ...`, addresses in hexadecimal
/// as they lie in memory, ports as numbers.
fn udp_socket(line: &str) -> Option<(SocketAddr, String)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (address, port) = fields.get(1)?.split_once(':')?;
    // Words of four bytes each: one of IPv4, four of IPv6.
    let words =
        address.as_bytes().chunks(8).map(|word| u32::from_str_radix(str::from_utf8(word).ok()?, 16).ok());
    let bytes: Vec<u8> =
        words.collect::<Option<Vec<u32>>>()?.into_iter().flat_map(u32::to_ne_bytes).collect();
    let address: IpAddr = match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok()?.into(),
        _ => <[u8; 16]>::try_from(bytes).ok()?.into(),
    };
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(((address, port).into(), (*fields.get(9)?).to_owned()))
}

/// The entries of a folder whose names are numbers.
fn numbers_in(folder: &str) -> Vec<u32> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}
