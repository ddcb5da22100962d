//! Streams: who may subscribe, and what each consumer is sent.
