//! Reads all fields of a JSON object, without an intermediate tree of values.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{Fields, FieldsBuilder};

/// Name of encoded histograms, which are not fields: only their figures are.
const HISTOGRAM: &str = "histogram";

impl<'de> Deserialize<'de> for Fields {
    /// Reads all fields of a JSON object.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut builder = FieldsBuilder::default();
        deserializer.deserialize_map(Members(&mut builder))?;
        Ok(builder.finish())
    }
}

/// Reads the members of an object.
struct Members<'a>(&'a mut FieldsBuilder);

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Box<str>>()? {
            map.next_value_seed(Member {
                name: &name,
                builder: self.0,
            })?;
        }
        Ok(())
    }
}

/// Reads the value of a member.
struct Member<'a> {
    name: &'a str,
    builder: &'a mut FieldsBuilder,
}

impl<'de> DeserializeSeed<'de> for Member<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Member<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.builder.insert(self.name, "null");
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.builder.insert(self.name, value);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.builder.insert(self.name, value);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.builder.insert(self.name, value);
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        // As in JSON, with a decimal point or an exponent.
        self.builder.insert(self.name, serde_json::json!(value));
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        if self.name != HISTOGRAM {
            self.builder.insert(self.name, value);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let length = self.builder.prefix.len();
        self.builder.prefix.push_str(self.name);
        self.builder.prefix.push('.');
        Members(self.builder).visit_map(map)?;
        self.builder.prefix.truncate(length);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let mut scalars = Vec::new();
        let mut nested = false;
        while let Some(element) = elements.next_element::<&RawValue>()? {
            match element.get().starts_with(['{', '[']) {
                true => nested = true,
                false if !nested => scalars.push(element.get()),
                false => {}
            }
        }
        if !nested {
            self.builder
                .insert(self.name, format_args!("[{}]", scalars.join(",")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scalar_of_a_result_is_a_field_except_encoded_histograms() {
        let fields: Fields = serde_json::from_str(
            r#"{"a": null, "b": {"c": {"d": -1}, "e": 2.0}, "f": true, "g": [1, "x"], "h": [],
                "i": [{"j": 1}], "k": "text", "latency": {"max": 9, "histogram": "HISTF"}, "k": "last"}"#,
        )
        .unwrap();
        let all: Vec<_> = fields.iter().collect();
        assert_eq!(
            all,
            [
                ("a", "null"),
                ("b.c.d", "-1"),
                ("b.e", "2.0"),
                ("f", "true"),
                ("g", r#"[1,"x"]"#),
                ("h", "[]"),
                ("k", "last"),
                ("latency.max", "9"),
            ]
        );
    }
}
