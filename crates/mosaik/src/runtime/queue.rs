//! A bounded queue from several tasks to one reader, moved a batch at a time.
//!
//! A lock is taken per batch, not per item: with one item a batch it costs as
//! much as a channel, under load a small fraction. The reader takes everything
//! there is and works it off without locking. A batch of some size is handed over
//! as it is: items may be large, and each move of one is a copy.

use {
	std::{
		collections::VecDeque,
		sync::{Arc, Mutex, MutexGuard, PoisonError},
		task::{Context, Poll, Waker},
	},
	tokio::sync::Notify,
};

/// What a queue may hold before its writers wait.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capacity {
	pub(crate) items: usize,
	pub(crate) bytes: usize,
}

/// A batch of fewer items is added to the one before it.
const SMALL: usize = 16;

/// How many empty batches are kept for the writers.
const SPARES: usize = 4;

struct State<T> {
	batches: VecDeque<VecDeque<T>>,
	items: usize,
	bytes: usize,
	spares: Vec<Vec<T>>,
	reader: Option<Waker>,
	writers: usize,
	reader_gone: bool,
}

struct Shared<T> {
	state: Mutex<State<T>>,
	room: Notify,
	capacity: Capacity,
}

impl<T> State<T> {
	fn add(&mut self, batch: &mut Vec<T>) {
		self.items += batch.len();
		match self.batches.back_mut() {
			Some(last) if batch.len() < SMALL => last.extend(batch.drain(..)),
			_ if batch.is_empty() => {}
			_ => {
				let spare = self.spares.pop().unwrap_or_default();
				let full = std::mem::replace(batch, spare);
				self.batches.push_back(full.into());
			}
		}
	}
}

impl<T> Shared<T> {
	fn lock(&self) -> MutexGuard<'_, State<T>> {
		// Nothing panics while it holds the lock; a poisoned one is still whole.
		self.state.lock().unwrap_or_else(PoisonError::into_inner)
	}
}

/// Where items go in.
pub(crate) struct Writer<T>(Arc<Shared<T>>);

/// Where items come out.
pub(crate) struct Reader<T> {
	shared: Arc<Shared<T>>,
	current: VecDeque<T>,
	taken: VecDeque<VecDeque<T>>,
}

/// The reader is gone.
#[derive(Debug)]
pub(crate) struct ReaderGone;

/// A queue of that capacity. Its writers wait while it is full; it may exceed
/// the capacity by one batch, and the reader holds as much again.
pub(crate) fn queue<T>(capacity: Capacity) -> (Writer<T>, Reader<T>) {
	let shared = Arc::new(Shared {
		state: Mutex::new(State {
			batches: VecDeque::new(),
			items: 0,
			bytes: 0,
			spares: Vec::new(),
			reader: None,
			writers: 1,
			reader_gone: false,
		}),
		room: Notify::new(),
		capacity,
	});
	(
		Writer(shared.clone()),
		Reader {
			shared,
			current: VecDeque::new(),
			taken: VecDeque::new(),
		},
	)
}

impl<T> Writer<T> {
	/// Moves the items of `batch`, together of `bytes` bytes, into the queue.
	///
	/// Cancellation safe: either all items were moved or none.
	pub(crate) async fn push(&self, batch: &mut Vec<T>, bytes: usize) -> Result<(), ReaderGone> {
		loop {
			if self.try_push(batch, bytes)? {
				return Ok(());
			}
			let room = self.0.room.notified();
			tokio::pin!(room);
			// From here on no notification is missed.
			room.as_mut().enable();
			if self.try_push(batch, bytes)? {
				return Ok(());
			}
			room.await;
		}
	}

	fn try_push(&self, batch: &mut Vec<T>, bytes: usize) -> Result<bool, ReaderGone> {
		let mut state = self.0.lock();
		if state.reader_gone {
			return Err(ReaderGone);
		}
		let capacity = self.0.capacity;
		if state.items >= capacity.items || state.bytes >= capacity.bytes {
			return Ok(false);
		}
		state.add(batch);
		state.bytes += bytes;
		let reader = state.reader.take();
		drop(state);
		if let Some(waker) = reader {
			waker.wake();
		}
		Ok(true)
	}
}

impl<T> Clone for Writer<T> {
	fn clone(&self) -> Self {
		self.0.lock().writers += 1;
		Self(self.0.clone())
	}
}

impl<T> Drop for Writer<T> {
	fn drop(&mut self) {
		let mut state = self.0.lock();
		state.writers -= 1;
		if state.writers == 0
			&& let Some(waker) = state.reader.take()
		{
			drop(state);
			waker.wake();
		}
	}
}

impl<T> Reader<T> {
	/// The next item, `None` when there is none and no writer is left.
	#[inline]
	pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
		match self.current.pop_front() {
			Some(item) => Poll::Ready(Some(item)),
			None => self.poll_batch(cx),
		}
	}

	#[cold]
	fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
		if self.take_batch() {
			return Poll::Ready(self.current.pop_front());
		}
		let mut state = self.shared.lock();
		if !state.batches.is_empty() {
			// Came in since we looked.
			drop(state);
			self.take_batch();
			return Poll::Ready(self.current.pop_front());
		}
		if state.writers == 0 {
			return Poll::Ready(None);
		}
		match &mut state.reader {
			Some(waker) => waker.clone_from(cx.waker()),
			none => *none = Some(cx.waker().clone()),
		}
		Poll::Pending
	}

	/// The next item if there is one.
	pub(crate) fn try_next(&mut self) -> Option<T> {
		if self.current.is_empty() {
			self.take_batch();
		}
		self.current.pop_front()
	}

	/// Goes on to the next batch, when the current one is empty.
	fn take_batch(&mut self) -> bool {
		let spare = Vec::from(std::mem::take(&mut self.current));
		if let Some(batch) = self.taken.pop_front() {
			self.current = batch;
			// It cannot be given back without the lock.
			return true;
		}
		let mut state = self.shared.lock();
		if spare.capacity() > 0 && state.spares.len() < SPARES {
			state.spares.push(spare);
		}
		if state.batches.is_empty() {
			return false;
		}
		std::mem::swap(&mut state.batches, &mut self.taken);
		state.items = 0;
		state.bytes = 0;
		drop(state);
		self.shared.room.notify_waiters();
		self.current = self.taken.pop_front().unwrap_or_default();
		true
	}
}

impl<T> Drop for Reader<T> {
	fn drop(&mut self) {
		let mut state = self.shared.lock();
		state.reader_gone = true;
		state.batches.clear();
		drop(state);
		self.shared.room.notify_waiters();
	}
}

#[cfg(test)]
mod tests {
	use {super::*, std::future::poll_fn};

	const TINY: Capacity = Capacity {
		items: 2,
		bytes: 100,
	};

	#[tokio::test]
	async fn a_full_queue_makes_its_writer_wait_until_it_is_read() {
		let (writer, mut reader) = queue(TINY);
		writer.push(&mut vec![1, 2, 3], 3).await.unwrap();
		let mut batch = vec![4];
		let mut second = Box::pin(writer.push(&mut batch, 1));
		assert!(futures::poll!(&mut second).is_pending());
		assert_eq!(reader.try_next(), Some(1));
		second.await.unwrap();
		for expected in [2, 3, 4] {
			assert_eq!(poll_fn(|cx| reader.poll_next(cx)).await, Some(expected));
		}
		assert_eq!(reader.try_next(), None);
	}

	#[tokio::test]
	async fn bytes_count_as_well() {
		let (writer, _reader) = queue(TINY);
		writer.push(&mut vec![1], 100).await.unwrap();
		let mut batch = vec![2];
		assert!(futures::poll!(Box::pin(writer.push(&mut batch, 1))).is_pending());
		assert_eq!(batch, [2], "a push that was dropped moved nothing");
	}

	#[tokio::test]
	async fn the_last_writer_ends_the_queue_and_the_reader_ends_the_writers() {
		let (writer, mut reader) = queue(TINY);
		let other = writer.clone();
		other.push(&mut vec![1], 1).await.unwrap();
		drop((writer, other));
		assert_eq!(poll_fn(|cx| reader.poll_next(cx)).await, Some(1));
		assert_eq!(poll_fn(|cx| reader.poll_next(cx)).await, None);

		let (writer, reader) = queue(TINY);
		writer.push(&mut vec![1, 2], 2).await.unwrap();
		let mut batch = vec![3];
		let mut waiting = Box::pin(writer.push(&mut batch, 1));
		assert!(futures::poll!(&mut waiting).is_pending());
		drop(reader);
		assert!(waiting.await.is_err());
	}

	#[tokio::test]
	async fn batches_of_any_size_come_out_in_order() {
		let (writer, mut reader) = queue(Capacity {
			items: 1_000,
			bytes: usize::MAX,
		});
		let mut next = 0;
		for size in [1, 40, 3, 0, 16, 15, 100] {
			let mut batch: Vec<u64> = (next..next + size).collect();
			next += size;
			writer.push(&mut batch, 1).await.unwrap();
			assert!(batch.is_empty());
		}
		for expected in 0..next {
			assert_eq!(reader.try_next(), Some(expected));
		}
		assert_eq!(reader.try_next(), None);
	}
}
