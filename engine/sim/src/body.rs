//! Message bodies, of which only the sizes matter.

use std::sync::OnceLock;

/// A body of `size` bytes: a slice of one static page for the usual sizes, so that it costs nothing.
pub fn body(size: u32) -> bytes::Bytes {
    static PAGE: [u8; 1 << 16] = [0; 1 << 16];
    match PAGE.get(..size as usize) {
        Some(slice) => bytes::Bytes::from_static(slice),
        None => large_body(size),
    }
}

/// Large bodies share one allocation, or a backlog of them would not fit into memory. Nobody reads it, so that the
/// operating system never has to find the pages.
#[cold]
fn large_body(size: u32) -> bytes::Bytes {
    static LARGEST: OnceLock<bytes::Bytes> = OnceLock::new();
    let largest = LARGEST.get_or_init(|| vec![0; LARGEST_BODY].into());
    if size as usize <= LARGEST_BODY {
        largest.slice(..size as usize)
    } else {
        vec![0; size as usize].into()
    }
}

/// As the language has it.
const LARGEST_BODY: usize = 128 << 20;
