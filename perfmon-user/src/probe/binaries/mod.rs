//! Where the functions that matter stand in other programs' files. In: an ELF file's bytes; out: probe points, or why there are none.
//! Reads only; attaching is the caller's.
pub mod openssl;
