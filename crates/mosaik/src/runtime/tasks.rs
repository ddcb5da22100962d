//! The owner of every task of a node.
//!
//! A node that is shut down leaves nothing behind: every future it runs is
//! spawned here, is cancelled here, and [`Tasks::shutdown`] returns when the
//! last one has ended. A task that panics ends alone: the panic is logged with
//! the task's name, counted, and published to whoever watches
//! [`Tasks::panics`], and no other task notices.
//!
//! There are two kinds. What is [spawned](Tasks::spawn) is dropped at its next
//! await point when the node stops. What must say goodbye first is
//! [spawned with the token](Tasks::spawn_until_done) and ends by itself.

use {
	futures::FutureExt,
	std::{any::Any, fmt, future::Future, panic::AssertUnwindSafe, sync::Arc},
	tokio::{runtime::Handle, sync::watch, task::AbortHandle},
	tokio_util::{sync::CancellationToken, task::TaskTracker},
	tracing::{Instrument, error, info_span},
};

/// Owns the tasks of a node; cheap to clone.
#[derive(Clone)]
pub(crate) struct Tasks(Arc<Inner>);

struct Inner {
	/// Where tasks run, so that spawning works from any thread.
	runtime: Handle,
	tracker: TaskTracker,
	token: CancellationToken,
	panics: watch::Sender<Panicked>,
}

/// The panics seen so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Panicked {
	/// How many tasks have panicked.
	pub count: u64,
	/// The name and the message of the latest.
	pub latest: Option<(&'static str, String)>,
}

impl Tasks {
	/// An owner without tasks, which will run on the current runtime.
	///
	/// # Panics
	/// Outside a tokio runtime.
	pub(crate) fn new() -> Self {
		Self(Arc::new(Inner {
			runtime: Handle::current(),
			tracker: TaskTracker::new(),
			token: CancellationToken::new(),
			panics: watch::Sender::new(Panicked::default()),
		}))
	}

	/// Runs a future until it ends or the node stops, whichever is first.
	///
	/// After the node has stopped, the future is dropped without being polled.
	pub(crate) fn spawn(
		&self,
		name: &'static str,
		future: impl Future<Output = ()> + Send + 'static,
	) -> AbortHandle {
		let token = self.0.token.clone();
		let future = Box::pin(future);
		let until_cancelled = async move {
			token.run_until_cancelled_owned(future).await;
		};
		self.track(name, until_cancelled)
	}

	/// Runs a future until it ends. It is given the token that tells it when the
	/// node stops, and must then end soon: the shutdown waits for it.
	pub(crate) fn spawn_until_done<F>(
		&self,
		name: &'static str,
		run: impl FnOnce(CancellationToken) -> F,
	) -> AbortHandle
	where
		F: Future<Output = ()> + Send + 'static,
	{
		let future = Box::pin(run(self.0.token.clone()));
		self.track(name, future)
	}

	/// Takes a boxed future or little around one: an async block that moves a
	/// future in and awaits it has room for it twice, and there are three here.
	fn track(
		&self,
		name: &'static str,
		future: impl Future<Output = ()> + Send + 'static,
	) -> AbortHandle {
		let panics = self.0.panics.clone();
		let guarded = async move {
			// A future that panicked is dropped and never polled again, so that
			// what it was in the middle of changing goes with it. What it shares
			// with others is behind locks that are not held over user code.
			if let Err(payload) = AssertUnwindSafe(future).catch_unwind().await {
				let message = message(&*payload);
				error!(task = name, message, "a task panicked; the others go on");
				panics.send_modify(|panics| {
					panics.count += 1;
					panics.latest = Some((name, message));
				});
			}
		}
		.instrument(info_span!("task", name));
		self.0
			.tracker
			.spawn_on(guarded, &self.0.runtime)
			.abort_handle()
	}

	/// Tells when a task panics.
	#[cfg(test)]
	pub(crate) fn panics(&self) -> watch::Receiver<Panicked> {
		self.0.panics.subscribe()
	}

	/// How many tasks have panicked.
	pub(crate) fn panicked(&self) -> u64 {
		self.0.panics.borrow().count
	}

	/// How many tasks have not ended.
	pub(crate) fn len(&self) -> usize {
		self.0.tracker.len()
	}

	/// The token that is cancelled when the node stops.
	pub(crate) fn token(&self) -> &CancellationToken {
		&self.0.token
	}

	/// Asks every task to end, without waiting.
	pub(crate) fn cancel(&self) {
		self.0.token.cancel();
	}

	/// Runs a part of the shutdown of the node, for which no shutdown waits.
	pub(crate) fn run_shutdown(&self, future: impl Future<Output = ()> + Send + 'static) {
		drop(self.0.runtime.spawn(future));
	}

	/// Asks every task to end and waits until all have. May be called more than
	/// once and at the same time; called from a task of its own it would wait
	/// for itself.
	pub(crate) async fn shutdown(&self) {
		self.cancel();
		self.0.tracker.close();
		self.0.tracker.wait().await;
	}
}

impl fmt::Debug for Tasks {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.debug_struct("Tasks")
			.field("running", &self.len())
			.field("panicked", &self.panicked())
			.finish_non_exhaustive()
	}
}

/// The text a panic was raised with.
fn message(payload: &(dyn Any + Send)) -> String {
	payload
		.downcast_ref::<&'static str>()
		.map(ToString::to_string)
		.or_else(|| payload.downcast_ref::<String>().cloned())
		.unwrap_or_else(|| "a value that is no text".to_owned())
}

#[cfg(test)]
mod tests {
	use super::*;

	#[tokio::test]
	async fn a_panic_is_noticed_and_takes_nobody_down() {
		let tasks = Tasks::new();
		let mut panics = tasks.panics();
		let bystander = tasks.spawn("bystander", std::future::pending());
		tasks.spawn("unlucky", async { panic!("number {}", 13) });
		let seen = panics
			.wait_for(|seen| seen.count == 1)
			.await
			.unwrap()
			.clone();
		assert_eq!(seen.latest, Some(("unlucky", "number 13".to_owned())));
		assert!(!bystander.is_finished());
		assert_eq!(tasks.panicked(), 1);
		tasks.shutdown().await;
		assert_eq!(tasks.len(), 0);
	}

	#[tokio::test]
	async fn shutdown_waits_for_those_that_say_goodbye() {
		let tasks = Tasks::new();
		let (said, mut heard) = watch::channel(false);
		tasks.spawn_until_done("polite", |token| async move {
			token.cancelled().await;
			tokio::task::yield_now().await;
			said.send_replace(true);
		});
		tasks.shutdown().await;
		assert!(*heard.borrow_and_update());
		assert_eq!(tasks.len(), 0);
	}

	#[tokio::test]
	async fn nothing_runs_after_the_shutdown() {
		let tasks = Tasks::new();
		tasks.shutdown().await;
		let late = tasks.spawn("late", async { panic!("must not be polled") });
		tasks.shutdown().await;
		assert!(late.is_finished());
		assert_eq!(tasks.panicked(), 0);
	}
}
