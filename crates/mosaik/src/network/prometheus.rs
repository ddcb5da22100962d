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
	std::sync::Arc,
	std::{
		convert::Infallible,
		net::SocketAddr,
		sync::{Mutex, PoisonError},
		time::Duration,
	},
	tokio::{net::TcpListener, sync::Semaphore},
};

/// How many scrapes may be under way at once; further ones wait.
const MAX_SCRAPES: usize = 8;

/// How long a client may take to send its request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

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
	let scrapes = Arc::new(Semaphore::new(MAX_SCRAPES));
	let owner = tasks.clone();
	tasks.spawn("metrics", async move {
		loop {
			let Ok(permit) = scrapes.clone().acquire_owned().await else {
				return;
			};
			let Ok((stream, _)) = listener.accept().await else {
				continue;
			};
			let handle = handle.clone();
			owner.spawn("metrics.scrape", async move {
				let service = service_fn(move |_: Request<Incoming>| answer(handle.clone()));
				// A client that goes away is no concern of ours.
				let _ = http1::Builder::new()
					.timer(TokioTimer::new())
					.header_read_timeout(REQUEST_TIMEOUT)
					.keep_alive(false)
					.serve_connection(TokioIo::new(stream), service)
					.await;
				drop(permit);
			});
		}
	});
	Ok(())
}

async fn answer(handle: PrometheusHandle) -> Result<Response<Full<Bytes>>, Infallible> {
	handle.run_upkeep();
	let mut response = Response::new(Full::from(handle.render()));
	let text = hyper::header::HeaderValue::from_static("text/plain; version=0.0.4");
	response.headers_mut().insert(CONTENT_TYPE, text);
	Ok(response)
}
