//! Reads what the kernel counts about this machine, its control groups and its processes (proc(5),
//! cgroups(7)).
//!
//! Does not judge the counts. Contract: a count that cannot be read is left out, as an unknown limit refuses
//! no recording.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use super::capacity::{Cost, Pool};
use super::meter::Sample;

const MICROS_PER_SECOND: f64 = 1e6;
const CONTROL_GROUPS: &str = "/sys/fs/cgroup";

/// Reads all counts now, from a few small files of /proc: some hundred microseconds.
pub fn sample(at: Duration, workers: &[u32]) -> Sample {
    let (mut processors, mut memory) = (Vec::new(), Vec::new());
    processors.extend(allowed_processors().and_then(|allowed| cpu_time(&read("/proc/stat")?, &allowed)));
    memory.extend(read("/proc/meminfo").and_then(|text| machine_memory(&text)));
    for group in control_groups() {
        let file = |name: &str| read(group.join(name));
        processors
            .extend(file("cpu.max").zip(file("cpu.stat")).and_then(|(max, stat)| group_time(&max, &stat)));
        let usage = file("memory.current").zip(file("memory.stat"));
        memory.extend(
            file("memory.max").zip(usage).and_then(|(max, (used, stat))| group_memory(&max, &used, &stat)),
        );
    }
    let workers = workers.iter().filter_map(|&pid| Some((pid, process(pid)?)));
    Sample { at, processors, memory, workers: workers.collect::<HashMap<_, _>>() }
}

/// Returns how many bytes of the file system with `path` are free for this process.
pub fn free_bytes(path: &Path) -> std::io::Result<u64> {
    let found = rustix::fs::statvfs(path)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

fn read(path: impl AsRef<Path>) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// Returns the processors on which this process may run.
fn allowed_processors() -> Option<BTreeSet<u32>> {
    let status = read("/proc/self/status")?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    Some(list.trim().split(',').filter_map(range).flatten().collect())
}

/// Parses `3` or `0-3`.
fn range(text: &str) -> Option<std::ops::RangeInclusive<u32>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some(first.parse().ok()?..=last.parse().ok()?)
}

/// Reads /proc/stat: returns how many processors are allowed, and for how long they were not idle.
fn cpu_time(stat: &str, allowed: &BTreeSet<u32>) -> Option<Pool> {
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    let mut pool = Pool { total: 0.0, used: 0.0 };
    for line in stat.lines() {
        let Some((number, fields)) = line.strip_prefix("cpu").and_then(|rest| rest.split_once(' ')) else {
            continue;
        };
        if !number.parse().is_ok_and(|number| allowed.contains(&number)) {
            continue;
        }
        // user nice system idle iowait irq softirq steal; user time includes guest time.
        let fields: Vec<f64> = fields.split_whitespace().filter_map(|field| field.parse().ok()).collect();
        let idle = fields.get(3)? + fields.get(4)?;
        pool.total += 1.0;
        pool.used += (fields.iter().take(8).sum::<f64>() - idle) / ticks;
    }
    (pool.total > 0.0).then_some(pool)
}

fn machine_memory(meminfo: &str) -> Option<Pool> {
    let kib = |name: &str| -> Option<f64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        number(line.trim().strip_suffix("kB")?.trim())
    };
    let total = kib("MemTotal")?;
    Some(Pool { total: total * 1024.0, used: (total - kib("MemAvailable")?) * 1024.0 })
}

/// Returns the folders of this process's control group and of its ancestors. Within a container they end at
/// the container's own group.
fn control_groups() -> Vec<PathBuf> {
    let own = read("/proc/self/cgroup");
    let own = own.as_deref().and_then(|text| text.lines().find_map(|line| line.strip_prefix("0::/")));
    let Some(own) = own else { return Vec::new() };
    let root = Path::new(CONTROL_GROUPS);
    root.join(own).ancestors().take_while(|folder| folder.starts_with(root)).map(Path::to_owned).collect()
}

/// Reads `cpu.max`: `QUOTA PERIOD` or `max PERIOD`, in microseconds.
fn group_time(max: &str, stat: &str) -> Option<Pool> {
    let (quota, period) = max.trim().split_once(' ')?;
    let (quota, period): (f64, f64) = (number(quota)?, number(period)?);
    Some(Pool { total: quota / period, used: keyed::<f64>(stat, "usage_usec")? / MICROS_PER_SECOND })
}

/// Reads `memory.max`: bytes or `max`. The file cache that the kernel can drop does not count as used.
fn group_memory(max: &str, current: &str, stat: &str) -> Option<Pool> {
    let used: f64 = number(current.trim())?;
    Some(Pool { total: number(max.trim())?, used: used - keyed::<f64>(stat, "inactive_file")? })
}

/// Returns the value of a line `KEY VALUE`.
fn keyed<T: FromStr>(text: &str, key: &str) -> Option<T> {
    text.lines().find_map(|line| number(line.strip_prefix(key)?.strip_prefix(' ')?.trim()))
}

fn number<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// Returns the processor seconds so far, and the resident bytes.
pub fn process(pid: u32) -> Option<Cost> {
    let stat = read(format!("/proc/{pid}/stat"))?;
    let pages: u64 = number(read(format!("/proc/{pid}/statm"))?.split(' ').nth(1)?)?;
    Some(Cost { cores: process_time(&stat)?, bytes: pages * rustix::param::page_size() as u64 })
}

/// Reads fields 14 and 15 of /proc/ID/stat. The name in field 2 may contain anything, so the fields are
/// counted from its last bracket.
fn process_time(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (f64, f64) = (number(fields.next()?)?, number(fields.next()?)?);
    Some((user + system) / rustix::param::clock_ticks_per_second() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_processors_that_this_process_may_use_count() {
        let stat = "cpu  900 0 0 900 0 0 0 0 0 0\ncpu0 100 20 30 500 50 1 2 3 40 0\ncpu1 7 7 7 7 7 7 7 7 7 7\nintr 5\n";
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        let pool = cpu_time(stat, &BTreeSet::from([0])).unwrap();
        assert_eq!(pool, Pool { total: 1.0, used: 156.0 / ticks });
    }

    #[test]
    fn memory_that_is_available_is_not_used() {
        let pool = machine_memory("MemTotal:  1000 kB\nMemFree:  100 kB\nMemAvailable:  400 kB\n").unwrap();
        assert_eq!(pool, Pool { total: 1_024_000.0, used: 600.0 * 1024.0 });
    }

    #[test]
    fn a_control_group_without_a_limit_is_none() {
        assert_eq!(group_time("max 100000\n", "usage_usec 5\n"), None);
        assert_eq!(group_memory("max\n", "100\n", "inactive_file 5\n"), None);
        let pool = group_time("150000 100000\n", "usage_usec 2500000\nuser_usec 1\n").unwrap();
        assert_eq!(pool, Pool { total: 1.5, used: 2.5 });
        let pool = group_memory("1000\n", "700\n", "file 9\ninactive_file 200\n").unwrap();
        assert_eq!(pool, Pool { total: 1000.0, used: 500.0 });
    }

    #[test]
    fn a_process_with_any_name_is_measured() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 100 1000 10 0";
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        assert_eq!(process_time(stat), Some(300.0 / ticks));
    }

    #[test]
    fn this_machine_and_this_process_can_be_measured() {
        let own = std::process::id();
        let sample = sample(Duration::ZERO, &[own]);
        assert!(sample.processors[0].total >= 1.0, "{sample:?}");
        assert!(sample.memory[0].used > 0.0, "{sample:?}");
        assert!(sample.workers[&own].bytes > 0, "{sample:?}");
        assert!(free_bytes(Path::new("/")).is_ok());
    }
}
