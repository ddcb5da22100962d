#[path = "../stub.rs"]
mod stub;

stub::stream!(pub Ticks);
stub::stream!(pub Tocks = );
stub::stream!(pub Tacks = , "id");
stub::stream!();

fn main() {}
