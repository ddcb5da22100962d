#[path = "../stub.rs"]
mod stub;

stub::stream!(pub Ticks = u32, "");
stub::stream!(pub Tocks = u32, 42);
stub::stream!(pub Tacks = u32, require: |_| true, "late");
const _: stub::Digest = stub::unique_id!(42);
const _: stub::Digest = stub::unique_id!();

fn main() {}
