mod network;
mod runtime;
