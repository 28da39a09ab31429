//! Part of the small workspace that the real builds are tried on.

include!(concat!(env!("OUT_DIR"), "/generated.rs"));

fn main() {
    generated(std::env::args().len());
    println!("small {}", light::number() + sound::number());
}
