//! What the runner asks of the machine: two cores, enough descriptors, the words for the report.

use std::process::Command;

use crate::Outcome;

/// The core the load comes from.
pub(crate) const CLIENT_CORE: usize = 0;

/// The core every server is pinned to.
pub(crate) const SERVER_CORE: usize = 1;

/// Pins the runner to its core and raises the descriptor limit, which servers inherit.
pub(crate) fn prepare() -> Outcome<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    if cores <= SERVER_CORE {
        return Err(format!("{cores} core: load and server need one each"));
    }
    raise_descriptor_limit();
    pin(CLIENT_CORE).map_err(|e| format!("pinning to core {CLIENT_CORE}: {e}"))
}

/// Pins the calling thread, and with it every program it starts, to one core.
/// Allocates nothing, so it may run between fork and exec.
pub(crate) fn pin(core: usize) -> std::io::Result<()> {
    // SAFETY: an all-zero cpu_set_t is the empty set; the call reads it within its size.
    let result = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set)
    };
    if result == 0 {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error())
    }
}

fn raise_descriptor_limit() {
    // SAFETY: both calls only touch the struct they are given.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

/// How many descriptors a process may hold after [`prepare`].
pub(crate) fn descriptor_limit() -> usize {
    // SAFETY: the call only fills the struct it is given.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
    }
}

/// Processor, cores, kernel and compiler, one Markdown list item each.
pub(crate) fn description() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown", |(_, name)| name.trim());
    let count = info
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "- processor: {processor}, {count} cores; server on core {SERVER_CORE}, load from core \
         {CLIENT_CORE}\n- kernel: {}\n- compiler: {}\n- {}\n",
        kernel.trim(),
        first_line("rustc", "--version"),
        first_line("valgrind", "--version"),
    )
}

fn first_line(program: &str, argument: &str) -> String {
    let out = Command::new(program).arg(argument).output();
    let text = out.map(|out| String::from_utf8_lossy(&out.stdout).into_owned());
    text.ok()
        .and_then(|text| text.lines().next().map(str::to_owned))
        .unwrap_or_else(|| format!("{program}: not installed"))
}
