//! [`run`]: a program's job on every rank.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use crate::ranks::Ranks;

/// Starts MPI, runs a job on this rank, and returns how it went: the whole of a program's `main`.
///
/// An error of the job is printed with the number of the rank, and told to the other ranks, which then end too. A process
/// that gets `SIGTERM`, as from `mpirun` when another process of the run has died, prints what it was doing and ends.
///
/// ```
/// fn main() -> std::process::ExitCode {
///     wengert_mpi::run(|ranks| {
///         println!("rank {} of {}", ranks.rank(), ranks.size());
///         Ok(())
///     })
/// }
/// ```
pub fn run(job: impl FnOnce(&mut Ranks) -> Result<(), Box<dyn Error>>) -> ExitCode {
    let mut ranks = match Ranks::start() {
        Ok(ranks) => ranks,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let name = format!("rank {} of {}", ranks.rank(), ranks.size());
    #[cfg(unix)]
    explain_end(name.clone(), &ranks);
    // Printed before the ranks meet for the last time: `mpirun` ends those that are slower.
    let done = job(&mut ranks);
    if let Err(error) = &done {
        say(&name, &error.to_string());
        ranks.failed();
    }
    done.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

/// Prints a line in one piece, so that those of several ranks do not mix.
fn say(name: &str, text: &str) {
    let _ = std::io::stderr().write_all(format!("{name}: {text}\n").as_bytes());
}

/// Prints a message before the process ends by `SIGTERM`.
#[cfg(unix)]
fn explain_end(name: String, ranks: &Ranks) {
    use std::sync::atomic::Ordering;

    use signal_hook::consts::SIGTERM;
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::emulate_default_handler;

    use crate::call::Operation;

    // Without a handler the process ends as well, only without the message.
    let Ok(mut signals) = Signals::new([SIGTERM]) else { return };
    let waits = ranks.waits();
    std::thread::spawn(move || {
        if signals.forever().next().is_none() {
            return;
        }
        let doing = match Operation::of(waits.load(Ordering::Relaxed).into()) {
            None => Some("in its own work".to_owned()),
            // The rank has nothing more to do, and another one's error is printed already.
            Some(Operation::Ended | Operation::Failed) => None,
            Some(operation) => Some(format!("{}, where it waits for the other ranks", operation.words())),
        };
        if let Some(doing) = doing {
            let advice = "Another rank has died, or the run was cancelled; a file that was saved by `once` is whole, and the run can \
                          be resumed from it";
            say(&name, &format!("ended by SIGTERM {doing}. {advice}"));
        }
        let _ = emulate_default_handler(SIGTERM);
    });
}
