use std::path::PathBuf;

/// Why a run did not happen, or ended. Every message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Data, files, settings, or a loss that is not finite.
    #[error(transparent)]
    Training(#[from] backprop::training::Error),
    /// The run stopped because the loss was not finite.
    #[error(
        "{source}.\nThe last good checkpoint is that of step {step} in {}. Go \
         on from it with another rate: {go_on} --lr RATE", .dir.display()
    )]
    Diverged {
        /// What happened.
        source: Box<backprop::training::Error>,
        /// The step of the last checkpoint.
        step: u64,
        /// The folder of the run.
        dir: PathBuf,
        /// The command that goes on.
        go_on: String,
    },
    /// The run stopped because its device failed.
    #[error(
        "{source}.\nThe last good checkpoint is that of step {step} in {}. Go \
         on from it: {go_on}", .dir.display()
    )]
    Stopped {
        /// What happened.
        source: backprop::device::Fault,
        /// The step of the last checkpoint.
        step: u64,
        /// The folder of the run.
        dir: PathBuf,
        /// The command that goes on.
        go_on: String,
    },
    /// The GPU cannot be used.
    #[cfg(feature = "gpu")]
    #[error(transparent)]
    Start(#[from] backprop::engine::gpu::StartError),
    /// This program was built without the GPU, and without cargo it cannot
    /// be built with it.
    #[error(
        "this build has no GPU. Type `cargo {0}` and the same options, or \
         leave --device out."
    )]
    NoGpu(String),
    /// Cargo cannot be run.
    #[error("cannot run {cargo}: {source}. Or leave --device out.")]
    Cargo {
        /// The program.
        cargo: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The folder holds a finished run.
    #[error(
        "{} holds a finished run. Choose another folder with --out DIR, or \
         write over it with --force.", .0.display()
    )]
    Finished(PathBuf),
    /// The folder holds an interrupted run.
    #[error(
        "{dir} holds an interrupted run. Go on with it: `cargo train {task} \
         --resume {dir}`. Or choose another folder with --out DIR, or write \
         over it with --force.", dir = .dir.display()
    )]
    Interrupted {
        /// What it learns.
        task: String,
        /// The folder.
        dir: PathBuf,
    },
    /// The folder holds something else.
    #[error(
        "{} holds files that are not of a run. Choose another folder with \
         --out DIR, or write next to them with --force.", .0.display()
    )]
    Foreign(PathBuf),
    /// A file that the run is to write is there already.
    #[error(
        "{} is there already. Choose another name, or write over it with \
         --force.", .0.display()
    )]
    Exists(PathBuf),
    /// There is no checkpoint to go on from.
    #[error(
        "{} holds no checkpoint. Give the folder of an interrupted run, the \
         one that has checkpoint/state.json in it.", .0.display()
    )]
    NoCheckpoint(PathBuf),
    /// A sample needs a beginning.
    #[error(
        "the prompt is empty. Give at least one character, or leave --prompt \
         out."
    )]
    EmptyPrompt,
    /// There is no trained model to start from.
    #[error(
        "{} is not there. Train a model first: `cargo train gpt`. Or name \
         another one with --base: the folder of a finished run, or a file of \
         weights.", .0.display()
    )]
    NoBase(PathBuf),
    /// The checkpoint belongs to another task or to other data.
    #[error("{}: {what}", .dir.display())]
    Mismatch {
        /// The folder of the run.
        dir: PathBuf,
        /// What does not fit, and what to do.
        what: String,
    },
    /// The threads cannot be started.
    #[error("cannot start the threads: {0}. Ask for fewer with --threads N.")]
    Threads(String),
}
