//! Serves the process's metrics as text, at any GET.

use {
	crate::runtime::tasks::Tasks,
	bytes::Bytes,
	http_body_util::Full,
	hyper::{
		Request, Response, body::Incoming, header::CONTENT_TYPE, server::conn::http1,
		service::service_fn,
	},
	hyper_util::rt::{TokioIo, TokioTimer},
	metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle},
	std::{
		convert::Infallible,
		future::poll_fn,
		io,
		net::SocketAddr,
		sync::{Arc, Mutex, PoisonError},
		task::{Context, Poll},
		time::Duration,
	},
	tokio::{
		io::{AsyncRead, AsyncWrite},
		net::TcpListener,
		sync::Semaphore,
		time,
	},
};

/// How many scrapes may be under way at once; further ones wait.
const MAX_SCRAPES: usize = 8;

/// How long a client may take to send its request …
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// … and for everything, the reading of the answer included.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(20);

/// The pause when no connection can be accepted: the process may be out of
/// files, and asking again at once would cost a processor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// The recorder of the process: there can be one, whatever the number of nodes.
static RECORDER: Mutex<Option<PrometheusHandle>> = Mutex::new(None);

/// Collects the metrics of this process from now on.
///
/// # Errors
/// When the process has another recorder already.
pub(super) fn install() -> Result<PrometheusHandle, String> {
	let mut recorder = RECORDER.lock().unwrap_or_else(PoisonError::into_inner);
	if let Some(handle) = &*recorder {
		return Ok(handle.clone());
	}
	let handle = PrometheusBuilder::new()
		.install_recorder()
		.map_err(|error| format!("another metrics recorder is installed: {error}"))?;
	*recorder = Some(handle.clone());
	Ok(handle)
}

/// Serves the metrics at that address until the node stops.
///
/// # Errors
/// When the address cannot be bound.
pub(super) async fn serve(
	addr: SocketAddr,
	handle: PrometheusHandle,
	tasks: &Tasks,
) -> Result<(), String> {
	let listener = TcpListener::bind(addr)
		.await
		.map_err(|error| format!("{addr}: {error}"))?;
	let owner = tasks.clone();
	let accept = move |cx: &mut Context<'_>| listener.poll_accept(cx).map_ok(|(stream, _)| stream);
	tasks.spawn("metrics", serve_all(accept, handle, owner));
	Ok(())
}

/// Serves whom `accept` lets in, for ever.
async fn serve_all<S>(
	mut accept: impl FnMut(&mut Context<'_>) -> Poll<io::Result<S>>,
	handle: PrometheusHandle,
	tasks: Tasks,
) where
	S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
	let scrapes = Arc::new(Semaphore::new(MAX_SCRAPES));
	// Acquiring fails when the semaphore is closed, which this one never is.
	while let Ok(permit) = scrapes.clone().acquire_owned().await {
		match poll_fn(&mut accept).await {
			Ok(stream) => {
				let handle = handle.clone();
				tasks.spawn("metrics.scrape", async move {
					scrape(stream, handle).await;
					drop(permit);
				});
			}
			Err(error) => {
				tracing::debug!(%error, "cannot accept a scrape of the metrics");
				time::sleep(ACCEPT_PAUSE).await;
			}
		}
	}
}

/// Answers one request. A client that goes away or stalls is no concern of ours.
async fn scrape<S>(stream: S, handle: PrometheusHandle)
where
	S: AsyncRead + AsyncWrite + Unpin,
{
	let service = service_fn(move |_: Request<Incoming>| answer(handle.clone()));
	let served = http1::Builder::new()
		.timer(TokioTimer::new())
		.header_read_timeout(REQUEST_TIMEOUT)
		.keep_alive(false)
		.serve_connection(TokioIo::new(stream), service);
	let _ = time::timeout(SCRAPE_TIMEOUT, served).await;
}

async fn answer(handle: PrometheusHandle) -> Result<Response<Full<Bytes>>, Infallible> {
	handle.run_upkeep();
	let mut response = Response::new(Full::from(handle.render()));
	let text = hyper::header::HeaderValue::from_static("text/plain; version=0.0.4");
	response.headers_mut().insert(CONTENT_TYPE, text);
	Ok(response)
}

#[cfg(test)]
mod tests {
	use {super::*, tokio::io::AsyncWriteExt};

	fn handle() -> PrometheusHandle {
		PrometheusBuilder::new().build_recorder().handle()
	}

	#[tokio::test(start_paused = true)]
	async fn a_client_that_does_not_read_the_answer_is_given_up() {
		let (mut client, server) = tokio::io::duplex(16);
		let request = client.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
		let scraped = time::timeout(Duration::from_secs(60), scrape(server, handle()));
		let (request, scraped) = tokio::join!(request, scraped);
		request.unwrap();
		scraped.expect("it ends");
	}

	#[tokio::test(start_paused = true)]
	async fn failing_to_accept_is_not_tried_again_at_once() {
		let mut tries = 0;
		let accept = |_: &mut Context<'_>| {
			tries += 1;
			assert!(tries < 100, "it spins");
			Poll::Ready(Err::<tokio::io::DuplexStream, _>(io::Error::other(
				"no files",
			)))
		};
		let serving = serve_all(accept, handle(), Tasks::new());
		let _ = time::timeout(ACCEPT_PAUSE * 10, serving).await;
		assert!((9..=11).contains(&tries), "{tries}");
	}
}
