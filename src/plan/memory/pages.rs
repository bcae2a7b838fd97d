//! Pages below the blocks of the memory test.

use serde::{Deserialize, Serialize};

/// Pages requested for the blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Pages {
    /// Base pages of 4 KiB, whatever the policy for transparent huge pages
    #[serde(rename = "4K")]
    #[value(name = "4K")]
    Base,
    /// Huge pages of 2 MiB from their pool
    #[serde(rename = "2M")]
    #[value(name = "2M")]
    Huge,
    /// Huge pages of 1 GiB from their pool
    #[serde(rename = "1G")]
    #[value(name = "1G")]
    Gigantic,
    /// Transparent huge pages, unless the policy is never to use them
    #[serde(rename = "thp")]
    #[value(name = "thp")]
    Transparent,
}

impl Pages {
    /// Where these pages come from.
    pub fn source(self) -> PageSource {
        match self {
            Self::Base => PageSource::Base,
            Self::Huge => PageSource::Pool(Some(2 << 20)),
            Self::Gigantic => PageSource::Pool(Some(1 << 30)),
            Self::Transparent => PageSource::Transparent,
        }
    }
}

/// Where the pages below a block come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageSource {
    /// Anonymous memory, whose pages the kernel's policy chooses.
    Policy,
    /// Base pages only: MADV_NOHUGEPAGE.
    Base,
    /// Transparent huge pages if possible: MADV_HUGEPAGE.
    Transparent,
    /// The pool of huge pages of this size in bytes; None: of the default size.
    Pool(Option<u64>),
}

impl PageSource {
    /// Size of the pages in bytes that `Pages::Base` stands for.
    pub const BASE_BYTES: u64 = 4096;

    /// Describes the pages in a title, after the blocks; empty for those of the policy.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Policy => "",
            Self::Base => " in 4K pages",
            Self::Transparent => " in transparent huge pages",
            Self::Pool(None) => " in huge pages",
            Self::Pool(Some(bytes)) if bytes < 1 << 30 => " in 2M pages",
            Self::Pool(Some(_)) => " in 1G pages",
        }
    }
}
