//! What decoding costs on one connection, and when it is too much. In: bytes of bodies on both sides of their codings and the CPU time that
//! went into them; out: whether the connection's bodies are still read. A connection is given up when its bodies grow by more than texts do,
//! or when their bytes cost many times what bytes cost: blocks of nothing, members of nothing.
use super::Undecodable;

/// Limits of one connection, from `limits`.
#[derive(Clone, Copy, Debug)]
pub struct WorkLimits {
    /// Plain bytes before the ratio applies.
    pub free_bytes: u64,
    /// Most plain bytes for one coded byte; texts stay below 50.
    pub ratio: u64,
    /// CPU time before the price of a byte applies.
    pub free_ns: u64,
    /// CPU time that a byte may cost, of both sides of the coding.
    pub ns_a_byte: u64,
}

/// The work of one connection.
#[derive(Clone, Copy, Debug)]
pub struct DecodingWork {
    limits: WorkLimits,
    coded: u64,
    plain: u64,
    cpu_ns: u64,
    is_given_up: bool,
}

impl DecodingWork {
    /// Nothing was done yet.
    pub fn new(limits: WorkLimits) -> Self {
        Self { limits, coded: 0, plain: 0, cpu_ns: 0, is_given_up: false }
    }

    /// Coded bytes are read.
    pub fn coded(&mut self, bytes: usize) {
        self.coded += bytes as u64;
    }

    /// Plain bytes come out of them. A bomb is an error.
    pub fn plain(&mut self, bytes: usize) -> Result<(), Undecodable> {
        self.plain += bytes as u64;
        self.is_given_up |= self.plain > self.coded.saturating_mul(self.limits.ratio).max(self.limits.free_bytes);
        if self.is_given_up { Err(Undecodable) } else { Ok(()) }
    }

    /// Bytes cost so much CPU time.
    pub fn cost(&mut self, cpu_ns: u64) {
        self.cpu_ns += cpu_ns;
        let paid_ns = (self.coded + self.plain).saturating_mul(self.limits.ns_a_byte);
        self.is_given_up |= self.cpu_ns > self.limits.free_ns.saturating_add(paid_ns);
    }

    /// It was too much.
    pub fn is_given_up(&self) -> bool {
        self.is_given_up
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: WorkLimits = WorkLimits { free_bytes: 1_000, ratio: 10, free_ns: 5_000, ns_a_byte: 2 };

    #[test]
    fn growth_beyond_the_ratio_is_too_much() {
        let mut work = DecodingWork::new(LIMITS);
        work.coded(200);
        assert_eq!((work.plain(2_000), work.is_given_up()), (Ok(()), false));
        assert_eq!((work.plain(1), work.is_given_up()), (Err(Undecodable), true));
        work.coded(1_000_000);
        assert!(work.plain(1).is_err(), "for good");
    }

    #[test]
    fn time_beyond_the_price_is_too_much() {
        let mut work = DecodingWork::new(LIMITS);
        work.coded(400);
        assert!(work.plain(100).is_ok());
        work.cost(6_000);
        assert!(!work.is_given_up());
        work.cost(1);
        assert!(work.is_given_up());
    }
}
