//! The Lua scripts, put together from the files in `lua/` when the program is compiled. Never run here.

use std::sync::LazyLock;

/// A script and its digest.
pub(crate) struct Script {
    pub(crate) text: &'static str,
    pub(crate) digest: String,
    /// It changes nothing.
    pub(crate) asks: bool,
}

/// Names each script and the files it is made of. The first line of one says what it may do when the server's
/// memory is full: only what adds jobs is then refused.
macro_rules! scripts {
    ($($(#[$doc:meta])* $name:ident: $flags:literal, [$($part:literal),*] $(, $fast:literal)?;)*) => {
        $($(#[$doc])* pub(crate) static $name: LazyLock<Script> = LazyLock::new(|| {
            script($flags, concat!("#!lua", $flags, "\n",
                $(include_str!("lua/fast.lua"), open!($fast),)?
                include_str!("lua/base.lua"),
                $("\n", include_str!(concat!("lua/", $part, ".lua")),)*
                $("end\n", include_str!(concat!("lua/", $fast, ".lua")),)?))
        });)*
    };
}

/// What the long way of a script that has a short one is called.
macro_rules! open {
    ($fast:literal) => {
        "\nlocal function full()\n"
    };
}

scripts! {
    /// Jobs come in.
    ENQUEUE: "", ["limits", "step", "insert", "enqueue"], "enqueue_fast";
    /// Jobs go out.
    CLAIM: " flags=allow-oom", ["limits", "step", "claim"], "claim_fast";
    /// Leases end.
    SETTLE: " flags=allow-oom", ["limits", "step", "insert", "settle"], "settle_fast";
    /// Leases go on.
    BEAT: " flags=allow-oom", ["limits", "step", "beat"], "beat_fast";
    /// Leases that have run out.
    EXPIRED: " flags=no-writes", ["limits", "step", "expired"];
    /// How many jobs each owner held, by crashes.
    COHORT: " flags=no-writes", ["cohort"];
    /// Cancel, move, revive, delete.
    CONTROL: " flags=allow-oom", ["limits", "step", "filter", "control"];
    /// Pauses and limits.
    CONFIG: " flags=allow-oom", ["limits", "step", "config"];
    /// A page of jobs.
    LIST: " flags=no-writes", ["filter", "shown", "list"];
    /// Jobs by id.
    JOBS: " flags=no-writes", ["shown", "jobs"];
    /// How jobs are that others wait for.
    STATES: " flags=no-writes", ["limits", "step", "insert", "states"];
    /// What time ends.
    PRUNE: " flags=allow-oom", ["limits", "step", "prune"];
    /// Numbers of queues.
    STATS: " flags=no-writes", ["limits", "stats"];
    /// A cell of a cron entry.
    CRON: "", ["limits", "step", "insert", "cron"];
    /// Words from other tags.
    DELIVER: " flags=allow-oom", ["limits", "step", "insert", "deliver"];
    /// Words to other tags.
    OUTBOX: " flags=allow-oom", ["outbox"];
    /// The structural check.
    AUDIT: " flags=no-writes", ["limits", "audit"];
}

fn script(flags: &str, text: &'static str) -> Script {
    let digest = redis::Script::new(text).get_hash().to_owned();
    let asks = flags.contains("no-writes");
    Script { text, digest, asks }
}
