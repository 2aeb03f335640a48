//! [`run`]: a program's job on every rank.

use std::error::Error;
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
    if let Err(error) = job(&mut ranks) {
        eprintln!("{name}: {error}");
        ranks.failed();
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
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
        let waits = waits.load(Ordering::Relaxed);
        let doing = match waits.checked_sub(1).and_then(|waits| Operation::of(waits.into())) {
            Some(operation) => format!("{}, where it waits for the other ranks", operation.words()),
            None => "in its own work".into(),
        };
        eprintln!(
            "{name}: ended by SIGTERM {doing}. Another rank has died, or the run was cancelled; a file that was saved by \
             `once` is whole, and the run can be resumed from it"
        );
        let _ = emulate_default_handler(SIGTERM);
    });
}
