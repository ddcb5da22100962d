#[path = "../stub.rs"]
mod stub;

stub::stream!(pub Ticks = u32, max_consumers: "3", disconnect_lagging: 1);
stub::stream!(pub Tocks = u32, require: true);

fn main() {}
