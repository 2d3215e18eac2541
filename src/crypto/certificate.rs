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

#[cfg(test)]
mod tests {
    use super::*;

    fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, u8::try_from(content.len()).expect("a short one")], content].concat()
    }

    /// The parts of a certificate up to its dates, with other contents.
    fn certificate(version: &[u8], dates: &[u8]) -> Vec<u8> {
        let fields = [version, &tagged(2, &[7]), &tagged(0x30, &[]), &tagged(0x30, &[]), &tagged(0x30, dates)];
        tagged(0x30, &tagged(0x30, &fields.concat()))
    }

    #[test]
    fn both_kinds_of_dates_are_read_from_certificates_of_each_version() {
        let (until_2049, from_2050) = (tagged(23, b"240115103000Z"), tagged(24, b"20500101000000Z"));
        let dates = [until_2049.as_slice(), &from_2050].concat();
        let expected = Some((Time::from_millis(1_705_314_600_000), Time::from_millis(2_524_608_000_000)));
        for version in [&[][..], &tagged(0xa0, &tagged(2, &[2]))] {
            assert_eq!(validity(&certificate(version, &dates)), expected);
        }
        for wrong in [&until_2049[..], &tagged(12, b"240115103000Z").repeat(2), &[]] {
            assert_eq!(validity(&certificate(&[], wrong)), None);
        }
    }
}
