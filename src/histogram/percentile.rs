//! The percentiles of results, reports and comparisons.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Declares the percentiles, ascending: a description, a variant, a field name and the share in
/// percent.
macro_rules! percentiles {
    ($($(#[doc = $doc:literal])+ $variant:ident, $field:ident, $percent:literal;)+) => {
        /// A percentile in results.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Percentile {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Percentile {
            /// All percentiles, ascending.
            pub const ALL: [Self; [$($percent),+].len()] = [$(Self::$variant),+];

            /// Share of durations not above the percentile, in percent.
            pub const fn percent(self) -> f64 {
                match self {
                    $(Self::$variant => $percent,)+
                }
            }

            /// Name of the field in a result.
            pub const fn field(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($field),)+
                }
            }
        }

        /// A value of each percentile.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        pub struct Percentiles<T> {
            $($(#[doc = $doc])+ pub $field: T,)+
        }

        impl<T> Percentiles<T> {
            /// Calls a function for each percentile, ascending.
            pub fn from_fn(mut value: impl FnMut(Percentile) -> T) -> Self {
                Self {
                    $($field: value(Percentile::$variant),)+
                }
            }

            /// Returns the value of a percentile.
            pub fn get(&self, percentile: Percentile) -> &T {
                match percentile {
                    $(Percentile::$variant => &self.$field,)+
                }
            }
        }
    };
}

percentiles! {
    /// Median; percentiles have 3 significant digits.
    P50, p50, 50.0;
    /// 90th percentile.
    P90, p90, 90.0;
    /// 95th percentile.
    P95, p95, 95.0;
    /// 99th percentile.
    P99, p99, 99.0;
    /// 99.9th percentile.
    P99_9, p99_9, 99.9;
}

impl Percentile {
    /// Returns the percentile with this share, in percent.
    pub fn of_percent(percent: f64) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.percent() == percent)
    }
}

impl fmt::Display for Percentile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}", self.percent())
    }
}

impl<T> Percentiles<T> {
    /// Returns the percentiles with their values, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (Percentile, &T)> {
        Percentile::ALL.into_iter().map(|p| (p, self.get(p)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_ascend_and_their_field_names_follow_from_their_shares() {
        assert!(Percentile::ALL.is_sorted_by_key(|p| p.percent()));
        for percentile in Percentile::ALL {
            let name = percentile.to_string();
            assert_eq!(percentile.field(), name.replace('.', "_"));
            assert_eq!(
                Percentile::of_percent(percentile.percent()),
                Some(percentile)
            );
        }
    }
}
