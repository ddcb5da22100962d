#[path = "../stub.rs"]
mod stub;

stub::stream!(pub Ticks = u32, max_consumers: 1, max_consumers: 2);
stub::stream!(pub Tocks = u32, online_when: |c| c, consumer online_when: |c| c);

fn main() {}
