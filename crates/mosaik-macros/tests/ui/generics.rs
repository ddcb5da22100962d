#[path = "../stub.rs"]
mod stub;

stub::stream!(pub Ticks<T> = T);
stub::stream!(pub both Tocks = u32);
stub::stream!(pub Tacks = u32 "id");

fn main() {}
