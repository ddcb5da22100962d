#[path = "../stub.rs"]
mod stub;

stub::stream!(pub Ticks = u32, online_when: |c| c.minimum_of("two"));
stub::stream!(pub Tocks = Nowhere);

fn main() {}
