//! The validity period of an X.509 certificate (RFC 5280, section 4.1). Nothing else of the certificate is read.

use der::asn1::{AnyRef, GeneralizedTime, UtcTime};
use der::{Decode, Reader, SliceReader, Tag, Tagged};

use crate::domain::time::Time;

/// Returns `notBefore` and `notAfter` of a DER-encoded certificate, or `None` if it cannot be parsed.
#[must_use]
pub fn validity(certificate: &[u8]) -> Option<(Time, Time)> {
    let certificate = AnyRef::from_der(certificate).ok()?;
    let to_be_signed: AnyRef<'_> = SliceReader::new(certificate.value()).ok()?.decode().ok()?;
    let mut fields = SliceReader::new(to_be_signed.value()).ok()?;
    let mut next = || fields.decode::<AnyRef<'_>>().ok();
    // The version field is explicitly tagged and absent from version 1 certificates.
    if matches!(next()?.tag(), Tag::ContextSpecific { .. }) {
        next()?;
    }
    let (_algorithm, _issuer) = (next()?, next()?);
    let dates = next()?;
    let mut dates = SliceReader::new(dates.value()).ok()?;
    Some((moment(&dates.decode().ok()?)?, moment(&dates.decode().ok()?)?))
}

fn moment(time: &AnyRef<'_>) -> Option<Time> {
    let since = match time.tag() {
        Tag::UtcTime => time.decode_as::<UtcTime>().ok()?.to_unix_duration(),
        Tag::GeneralizedTime => time.decode_as::<GeneralizedTime>().ok()?.to_unix_duration(),
        _ => return None,
    };
    Some(Time::from_millis(i64::try_from(since.as_millis()).ok()?))
}
