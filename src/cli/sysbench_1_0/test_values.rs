//! Typed access to the option values of a test.

use std::num::NonZeroU32;

use super::options::BuiltInTest;
use super::refusal::Checked;
use super::values::{GivenOptions, invalid};

/// The options of a test, with their values.
pub(super) struct TestValues<'a> {
    pub test: &'a BuiltInTest,
    pub values: &'a GivenOptions,
}

impl TestValues<'_> {
    pub fn number(&self, name: &str) -> Checked<i32> {
        self.values.number(self.test.option(name))
    }

    pub fn one_of<T: Copy>(&self, name: &str, accepted: &[(&str, T)]) -> Checked<T> {
        self.values.one_of(self.test.option(name), accepted)
    }

    pub fn switch(&self, name: &str) -> bool {
        self.values.switch(self.test.option(name))
    }

    /// Returns a size. 1.0 reads an invalid one as 0, which means something else.
    pub fn size(&self, name: &str) -> Checked<u64> {
        let option = self.test.option(name);
        let text = self.values.text(option).unwrap_or_default();
        self.values
            .size(option)
            .ok_or_else(|| invalid(option, text))
    }

    /// Returns a number above 0. With another one, 1.0 crashes or does not end.
    pub fn positive(&self, name: &str) -> Checked<NonZeroU32> {
        let number = self.number(name)?;
        let positive = u32::try_from(number).ok().and_then(NonZeroU32::new);
        positive.ok_or_else(|| invalid(self.test.option(name), &number.to_string()))
    }

    /// Returns a number that is not negative.
    pub fn count(&self, name: &str) -> Checked<u32> {
        let number = self.number(name)?;
        u32::try_from(number).map_err(|_| invalid(self.test.option(name), &number.to_string()))
    }
}
