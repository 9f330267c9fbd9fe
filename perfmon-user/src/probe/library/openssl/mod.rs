//! OpenSSL (1.1, 3) as a shared library: `SSL_read`, `SSL_write` and their `_ex` forms each call one internal function
//! `(SSL *, buffer, length, …, size_t *count)`. Its beginning is the entry point, the instruction that tests its result in the exported
//! function is the result point. LibreSSL and BoringSSL have the same interface and other insides: they need return probes.
use perfmon_common::event::{DIRECTION_IN, DIRECTION_OUT};
use perfmon_common::tls::TlsConvention;

use super::image::{Function, Image};
use super::{ENTRY, FREE, Library, NoPoints, Point, RESULT, RETURN, Ways};

#[cfg(test)]
mod tests;

/// See the module.
pub struct OpenSsl;

/// An exported function and its `_ex` form.
struct Pair {
    direction: u8,
    plain: &'static str,
    ex: &'static str,
}

const PAIRS: [Pair; 2] = [
    Pair { direction: DIRECTION_IN, plain: "SSL_read", ex: "SSL_read_ex" },
    Pair { direction: DIRECTION_OUT, plain: "SSL_write", ex: "SSL_write_ex" },
];
/// Where an object ends.
const END: &str = "SSL_free";
/// The argument of the `_ex` forms that points to the count.
const EX_COUNT: u8 = 3;

impl Library for OpenSsl {
    fn is_named(&self, name: &str) -> bool {
        // Wheels bundle `libssl-1a2b3c4d.so.3`; `libssl3.so` is NSS, another interface.
        name.starts_with("libssl.so") || (name.starts_with("libssl-") && name.contains(".so"))
    }

    fn function_prefix(&self) -> &'static str {
        "SSL_"
    }

    fn points(&self, image: &Image<'_>, ways: Ways) -> Result<Vec<Point>, NoPoints> {
        let mut points = Vec::new();
        for pair in PAIRS {
            let plain = image.function(pair.plain).ok_or(NoPoints::NoFunction(pair.plain))?;
            let ex = image.function(pair.ex);
            let found = at_instructions(image, &pair, plain, ex).or_else(|reason| match ways {
                Ways::Instructions => Err(reason),
                Ways::Returns => at_returns(image, &pair, plain, ex),
            })?;
            points.extend(found);
        }
        points.extend(end(image));
        // Both forms of a function enter the same internal one.
        points.sort_by_key(|point| (point.program == ENTRY, point.program, point.offset));
        points.dedup();
        Ok(points)
    }
}

#[cfg(target_arch = "x86_64")]
fn at_instructions(image: &Image<'_>, pair: &Pair, plain: Function<'_>, ex: Option<Function<'_>>) -> Result<Vec<Point>, NoPoints> {
    use super::walk::{CountLocation, places};
    let mut points = Vec::new();
    let forms = [(pair.plain, Some(plain), CountLocation::Local), (pair.ex, ex, CountLocation::Argument(EX_COUNT))];
    for (name, function, count) in forms.into_iter().filter_map(|(name, function, count)| Some((name, function?, count))) {
        let found = places(image, function, count).ok_or(NoPoints::NoInstruction(name))?;
        let convention = TlsConvention { direction: pair.direction, count_argument: found.count_argument, frame_bytes: found.frame_bytes };
        for (program, address) in [(RESULT, found.result), (ENTRY, found.entry)] {
            let convention = if program == ENTRY { convention } else { result(pair.direction) };
            points.push(Point { program, offset: image.offset(address).ok_or(NoPoints::NoInstruction(name))?, convention });
        }
    }
    Ok(points)
}

#[cfg(not(target_arch = "x86_64"))]
fn at_instructions(_image: &Image<'_>, pair: &Pair, _plain: Function<'_>, _ex: Option<Function<'_>>) -> Result<Vec<Point>, NoPoints> {
    Err(NoPoints::NoInstruction(pair.plain))
}

/// Probes at the exported functions' beginnings and returns.
fn at_returns(image: &Image<'_>, pair: &Pair, plain: Function<'_>, ex: Option<Function<'_>>) -> Result<Vec<Point>, NoPoints> {
    // On x86-64 the return address stands between the two; elsewhere the stack pointer is the same.
    let frame_bytes = if cfg!(target_arch = "x86_64") { 8 } else { 0 };
    let mut points = Vec::new();
    for (function, count_argument) in [(Some(plain), 0), (ex, EX_COUNT)] {
        let Some(offset) = function.and_then(|function| image.offset(function.address)) else { continue };
        points.push(Point { program: RETURN, offset, convention: result(pair.direction) });
        points.push(Point { program: ENTRY, offset, convention: TlsConvention { direction: pair.direction, count_argument, frame_bytes } });
    }
    Ok(points)
}

/// What the program at a result point needs to know.
fn result(direction: u8) -> TlsConvention {
    TlsConvention { direction, count_argument: 0, frame_bytes: 0 }
}

/// Where objects end; without it a new object at an old address is known by its socket alone.
fn end(image: &Image<'_>) -> Option<Point> {
    let function = image.function(END)?;
    #[cfg(target_arch = "x86_64")]
    let address = super::walk::beginning(image, function)?;
    #[cfg(not(target_arch = "x86_64"))]
    let address = function.address;
    Some(Point { program: FREE, offset: image.offset(address)?, convention: result(DIRECTION_IN) })
}
