#[path = "../stub.rs"]
mod stub;

stub::stream!(pub Ticks = u32, "ticks", requires: |p| p.rtt < 5);
stub::stream!(pub Tocks = u32, with_max_consumers: 3, colour: "red");
stub::stream!(pub Tacks = u32, producr require: |_| true);

fn main() {}
