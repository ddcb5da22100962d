#[path = "../stub.rs"]
mod stub;

stub::stream!(pub producer Ticks = u32, criteria: all());
stub::stream!(pub consumer Tocks = u32, max_consumers: 3, buffer_size: 5);
stub::stream!(pub Tacks = u32, consumer max_consumers: 3);

fn main() {}
