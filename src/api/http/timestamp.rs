//! Timestamps on the wire: RFC 3339 in UTC with three decimals, always.

use std::borrow::Cow;
use std::ops::Deref;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use serde::Deserialize;
use serde_json::Value;

use crate::domain::time::Time;

/// A timestamp in a response: `2024-01-15T10:30:00.000Z`.
#[derive(Clone, Copy, Debug)]
pub struct Timestamp(pub Time);

/// A timestamp in a request, as it was sent. Fields that also accept an empty string, or whose value may be ignored,
/// are plain strings instead.
#[derive(Clone, Debug, Deserialize)]
pub struct Moment(pub String);

impl Deref for Moment {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// Declares the type of both in the document.
macro_rules! date_time {
    ($name:ty) => {
        impl Type for $name {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> Cow<'static, str> {
                "string(date-time)".into()
            }

            fn schema_ref() -> MetaSchemaRef {
                MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "date-time")))
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }
    };
}

date_time!(Timestamp);
date_time!(Moment);

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl ToJSON for Timestamp {
    fn to_json(&self) -> Option<Value> {
        Some(Value::String(self.0.to_string()))
    }
}

impl ToJSON for Moment {
    fn to_json(&self) -> Option<Value> {
        Some(Value::String(self.0.clone()))
    }
}

impl ParseFromJSON for Moment {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        Ok(serde_json::from_value(value.unwrap_or_default())?)
    }
}

impl ParseFromJSON for Timestamp {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        let time = value.as_ref().and_then(Value::as_str).and_then(Time::parse_rfc3339);
        time.map(Self).ok_or_else(|| ParseError::custom("not RFC 3339 with an offset"))
    }
}
